#include "data/scenes/texture.h"

#include <cmath>

namespace psanet::data {

double hash_unit(std::uint32_t seed, int x, int y) {
  std::uint32_t h = seed * 0x9E3779B1u + std::uint32_t(x) * 0x85EBCA77u + std::uint32_t(y) * 0xC2B2AE3Du;
  h = (h ^ (h >> 15)) * 0x2C1B3C6Du;
  h = (h ^ (h >> 12)) * 0x297A2D39u;
  return (h ^ (h >> 15)) * 0x1p-32;
}

double smooth_noise(std::uint32_t seed, double x, double y) {
  const double fx = std::floor(x), fy = std::floor(y);
  const int ix = int(fx), iy = int(fy);
  const double tx = x - fx, ty = y - fy;
  const double sx = tx * tx * (3 - 2 * tx), sy = ty * ty * (3 - 2 * ty);
  const double top = hash_unit(seed, ix, iy) * (1 - sx) + hash_unit(seed, ix + 1, iy) * sx;
  const double bottom = hash_unit(seed, ix, iy + 1) * (1 - sx) + hash_unit(seed, ix + 1, iy + 1) * sx;
  return top * (1 - sy) + bottom * sy;
}

double cloud_noise(std::uint32_t seed, double x, double y) {
  return (smooth_noise(seed, x, y) * 4 + smooth_noise(seed + 1, x * 2, y * 2) * 2 +
          smooth_noise(seed + 2, x * 4, y * 4)) /
         7;
}

}  // namespace psanet::data
