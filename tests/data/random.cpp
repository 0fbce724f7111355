#include "data/random.h"

#include "tests/support/catch.h"

using namespace psanet::data;

TEST_CASE("Philox4x32-10 gives the published known answers") {
  CHECK(philox({0, 0, 0, 0}, {0, 0}) == std::array<std::uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(philox({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}) ==
        std::array<std::uint32_t, 4>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
        std::array<std::uint32_t, 4>{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("streams differ in every part of their key and repeat otherwise") {
  const auto first = [](std::uint64_t seed, Purpose purpose, std::uint32_t epoch, std::uint32_t item) {
    return KeyedRandom(seed, purpose, epoch, item).next();
  };
  const auto base = first(1, Purpose::augment, 2, 3);
  CHECK(base == first(1, Purpose::augment, 2, 3));
  CHECK(base != first(2, Purpose::augment, 2, 3));
  CHECK(base != first(1 + (std::uint64_t{1} << 32), Purpose::augment, 2, 3));
  CHECK(base != first(1, Purpose::shuffle, 2, 3));
  CHECK(base != first(1, Purpose::augment, 3, 3));
  CHECK(base != first(1, Purpose::augment, 2, 4));
}

TEST_CASE("numbers below a count are evenly spread") {
  KeyedRandom random(7, Purpose::augment, 0, 0);
  int counts[6] = {};
  double sum = 0;
  for (int i = 0; i < 60000; ++i) {
    ++counts[random.below(6)];
    const double u = random.uniform();
    REQUIRE((u >= 0 && u < 1));
    sum += u;
  }
  for (const int count : counts) CHECK(std::abs(count - 10000) < 500);
  CHECK(sum / 60000 == Approx(0.5).margin(0.01));
}
