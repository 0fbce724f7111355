#include "engine/random.h"

#include <cmath>
#include <numbers>

namespace psanet {

uint64_t hash_name(std::string_view name) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (char c : name) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3u;
  return hash;
}

uint64_t random_bits(uint64_t key, uint64_t i) {
  uint64_t z = key + (i + 1) * 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

double random_unit(uint64_t key, uint64_t i) {
  return (static_cast<double>(random_bits(key, i) >> 40) - 8388608.0) / 8388608.0;
}

double random_normal(uint64_t key, uint64_t i) {
  const double a = (static_cast<double>(random_bits(key, 2 * i) >> 11) + 0.5) * 0x1p-53;  // in (0, 1)
  const double b = static_cast<double>(random_bits(key, 2 * i + 1) >> 11) * 0x1p-53;
  return std::sqrt(-2 * std::log(a)) * std::cos(2 * std::numbers::pi * b);
}

}  // namespace psanet
