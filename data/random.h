// Random numbers that depend on what they are for and on nothing else: Philox4x32-10 (Salmon et al., "Parallel random
// numbers: as easy as 1, 2, 3", SC 2011). The key is the seed, the counter says (epoch, item, purpose, block), so any
// worker can draw the numbers of any sample and a resumed run draws what an uninterrupted one would.
#pragma once

#include <array>
#include <cstdint>

namespace psanet::data {

/// One Philox4x32-10 block.
std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter, std::array<std::uint32_t, 2> key);

/// What a stream of numbers is for; streams of different purposes are independent.
enum class Purpose : std::uint32_t { shuffle = 1, augment = 2, scene = 3 };

/// The stream of numbers of one (seed, purpose, epoch, item).
class KeyedRandom {
 public:
  KeyedRandom(std::uint64_t seed, Purpose purpose, std::uint32_t epoch, std::uint32_t item)
      : key_{std::uint32_t(seed), std::uint32_t(seed >> 32)}, counter_{0, epoch, item, std::uint32_t(purpose)} {}

  std::uint32_t next();
  /// In [0, 1), 32 random bits.
  double uniform() { return next() * 0x1p-32; }
  /// In [low, high).
  double uniform(double low, double high) { return low + (high - low) * uniform(); }
  /// In 0..count-1, each equally likely; count > 0.
  std::uint32_t below(std::uint32_t count);
  bool chance(double probability) { return uniform() < probability; }

 private:
  std::array<std::uint32_t, 2> key_;
  std::array<std::uint32_t, 4> counter_;
  std::array<std::uint32_t, 4> block_{};
  int left_ = 0;
};

}  // namespace psanet::data
