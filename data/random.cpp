#include "data/random.h"

namespace psanet::data {

std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> c, std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = std::uint64_t{0xD2511F53} * c[0];
    const std::uint64_t p1 = std::uint64_t{0xCD9E8D57} * c[2];
    c = {std::uint32_t(p1 >> 32) ^ c[1] ^ key[0], std::uint32_t(p1), std::uint32_t(p0 >> 32) ^ c[3] ^ key[1],
         std::uint32_t(p0)};
    key[0] += 0x9E3779B9;
    key[1] += 0xBB67AE85;
  }
  return c;
}

std::uint32_t KeyedRandom::next() {
  if (left_ == 0) {
    block_ = philox(counter_, key_);
    ++counter_[0];
    left_ = 4;
  }
  return block_[std::size_t(4 - left_--)];
}

std::uint32_t KeyedRandom::below(std::uint32_t count) {
  // Multiply and take the high half; the few low halves that would favour some results are drawn again.
  const std::uint32_t reject_below = (0u - count) % count;
  std::uint64_t product = std::uint64_t{next()} * count;
  while (std::uint32_t(product) < reject_below) product = std::uint64_t{next()} * count;
  return std::uint32_t(product >> 32);
}

}  // namespace psanet::data
