#include "engine/crc32c.h"

#include <array>
#include <cstring>

namespace psanet {

namespace {

// kTable[k][b]: the remainder of byte b followed by k zero bytes. With eight of them eight bytes go in one step.
using Table = std::array<std::array<uint32_t, 256>, 8>;

constexpr Table make_table() {
  Table table{};
  for (uint32_t b = 0; b < 256; ++b) {
    uint32_t remainder = b;
    for (int bit = 0; bit < 8; ++bit) remainder = (remainder >> 1) ^ ((remainder & 1) ? 0x82F63B78u : 0u);
    table[0][b] = remainder;
  }
  for (size_t k = 1; k < 8; ++k) {
    for (size_t b = 0; b < 256; ++b) table[k][b] = (table[k - 1][b] >> 8) ^ table[0][table[k - 1][b] & 0xFF];
  }
  return table;
}
constexpr Table kTable = make_table();

}  // namespace

uint32_t crc32c(const void* bytes, size_t count, uint32_t before) {
  const auto* at = static_cast<const unsigned char*>(bytes);
  uint32_t crc = ~before;
  for (; count >= 8; count -= 8, at += 8) {
    uint32_t low, high;
    std::memcpy(&low, at, 4);
    std::memcpy(&high, at + 4, 4);
    low ^= crc;
    crc = kTable[7][low & 0xFF] ^ kTable[6][low >> 8 & 0xFF] ^ kTable[5][low >> 16 & 0xFF] ^ kTable[4][low >> 24] ^
          kTable[3][high & 0xFF] ^ kTable[2][high >> 8 & 0xFF] ^ kTable[1][high >> 16 & 0xFF] ^ kTable[0][high >> 24];
  }
  for (; count > 0; --count, ++at) crc = (crc >> 8) ^ kTable[0][(crc ^ *at) & 0xFF];
  return ~crc;
}

}  // namespace psanet
