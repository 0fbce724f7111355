// Sixteen float32 values worked on at once: one AVX-512 register, two AVX2 registers or four SSE ones, as the compiler
// finds them. Sums over lanes are added in one fixed order, so results do not depend on the width of the registers.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

namespace psanet::kernels::cpu {

inline constexpr int64_t kLanes = 16;

typedef float Lanes __attribute__((vector_size(64)));
typedef int32_t IntLanes __attribute__((vector_size(64)));

/// `count` rounded up to whole lanes.
constexpr int64_t whole_lanes(int64_t count) {
  return (count + kLanes - 1) / kLanes * kLanes;
}

[[gnu::always_inline]] inline Lanes load(const float* from) {
  typedef float Anywhere __attribute__((vector_size(64), aligned(4), may_alias));
  return *reinterpret_cast<const Anywhere*>(from);
}

[[gnu::always_inline]] inline void store(float* to, Lanes value) {
  typedef float Anywhere __attribute__((vector_size(64), aligned(4), may_alias));
  *reinterpret_cast<Anywhere*>(to) = value;
}

[[gnu::always_inline]] inline Lanes broadcast(float value) {
  return value - Lanes{};
}

/// The first `count` lanes; the others are `rest`.
[[gnu::always_inline]] inline Lanes load_some(const float* from, int64_t count, float rest) {
  float lanes[kLanes];
  std::fill_n(lanes, kLanes, rest);
  std::copy_n(from, std::min(count, kLanes), lanes);
  return load(lanes);
}

[[gnu::always_inline]] inline void store_some(float* to, Lanes value, int64_t count) {
  float lanes[kLanes];
  store(lanes, value);
  std::copy_n(lanes, std::min(count, kLanes), to);
}

/// The larger of each pair; b where one is NaN.
[[gnu::always_inline]] inline Lanes larger(Lanes a, Lanes b) {
  return a > b ? a : b;
}

[[gnu::always_inline]] inline float sum(Lanes value) {
  float lanes[kLanes];
  store(lanes, value);
  for (int64_t half = kLanes / 2; half > 0; half /= 2) {
    for (int64_t i = 0; i < half; ++i) lanes[i] += lanes[i + half];
  }
  return lanes[0];
}

[[gnu::always_inline]] inline float largest(Lanes value) {
  float lanes[kLanes];
  store(lanes, value);
  for (int64_t half = kLanes / 2; half > 0; half /= 2) {
    for (int64_t i = 0; i < half; ++i) lanes[i] = std::max(lanes[i], lanes[i + half]);
  }
  return lanes[0];
}

/// e^x to about one unit in the last place, for x <= 88 (larger: infinite or meaningless). Exactly 0 below `lowest`
/// (at least -87.3, where the result is still a normal number): subnormal numbers, which processors handle slowly,
/// never arise. NaN stays NaN.
[[gnu::always_inline]] inline Lanes exp(Lanes x, float lowest = -87.3f) {
  // e^x = 2^n e^r with n the whole number nearest to x / ln 2, so |r| <= ln(2) / 2. Adding 1.5 * 2^23 leaves n in the
  // low bits of the sum; ln 2 is subtracted in two parts, of which the first times n is exact.
  constexpr float kRound = 12582912.0f, kInverseLn2 = 1.44269504f;
  constexpr float kLn2High = 0.693115234375f, kLn2Low = 3.19461833e-05f;
  const auto underflow = x < lowest;
  const Lanes clamped = underflow ? broadcast(lowest) : x;
  const Lanes shifted = clamped * kInverseLn2 + kRound;
  const Lanes n = shifted - kRound;
  const Lanes r = (clamped - n * kLn2High) - n * kLn2Low;
  // (e^r - 1 - r) / r^2, interpolated at the Chebyshev points of the interval: relative error of e^r 1.1e-8.
  const Lanes tail = (((0.0013926184f * r + 0.0083631789f) * r + 0.041666556f) * r + 0.16666576f) * r + 0.5f;
  const Lanes e_r = (tail * r * r + r) + 1.0f;
  const Lanes power = (Lanes)(((IntLanes)shifted + 127) << 23);  // the bits of 2^n
  return underflow ? Lanes{} : e_r * power;
}

}  // namespace psanet::kernels::cpu
