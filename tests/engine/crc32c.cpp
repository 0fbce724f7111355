#include "engine/crc32c.h"

#include <string>
#include <vector>

#include "tests/support/catch.h"

namespace psanet {
namespace {

TEST_CASE("crc32c: the published check values") {
  CHECK(crc32c("123456789", 9) == 0xE3069283u);
  // RFC 3720, B.4: 32 bytes of zeros, of ones, counting up, counting down.
  std::vector<unsigned char> up(32), down(32);
  for (size_t i = 0; i < 32; ++i) {
    up[i] = static_cast<unsigned char>(i);
    down[i] = static_cast<unsigned char>(31 - i);
  }
  CHECK(crc32c(std::string(32, '\0').data(), 32) == 0x8A9136AAu);
  CHECK(crc32c(std::string(32, '\xFF').data(), 32) == 0x62A8AB43u);
  CHECK(crc32c(up.data(), 32) == 0x46DD794Eu);
  CHECK(crc32c(down.data(), 32) == 0x113FDB5Cu);
  CHECK(crc32c(nullptr, 0) == 0);
}

TEST_CASE("crc32c: in pieces as in one") {
  std::string text;
  for (int i = 0; i < 100; ++i) text += static_cast<char>(i * 37 + 11);
  const uint32_t whole = crc32c(text.data(), text.size());
  for (size_t cut = 0; cut <= text.size(); ++cut) {
    const uint32_t first = crc32c(text.data(), cut);
    CHECK(crc32c(text.data() + cut, text.size() - cut, first) == whole);
  }
}

}  // namespace
}  // namespace psanet
