// The softmax of one row, and its parts.
#pragma once

#include "kernels/cpu/lanes.h"

namespace psanet::kernels::cpu {

/// The largest value of a row, which is padded to whole lanes.
[[gnu::always_inline]] inline float largest(const float* row, int64_t padded) {
  Lanes top = load(row);
  for (int64_t i = kLanes; i < padded; i += kLanes) top = larger(load(row + i), top);
  return largest(top);
}

/// row [padded] := exp(row - highest), which is 0 below `lowest`; their sum.
[[gnu::always_inline]] inline float exponentials(float* row, int64_t padded, float highest, float lowest = -87.3f) {
  Lanes sums{};
  for (int64_t i = 0; i < padded; i += kLanes) {
    const Lanes e = exp(load(row + i) - highest, lowest);
    store(row + i, e);
    sums += e;
  }
  return sum(sums);
}

/// to := softmax(from), `columns` values; `to` may be `from`.
[[gnu::always_inline]] inline void softmax_row(const float* from, float* to, int64_t columns) {
  constexpr float kLowest = std::numeric_limits<float>::lowest();
  const int64_t whole = columns / kLanes * kLanes, rest = columns - whole;
  Lanes top = broadcast(kLowest);
  for (int64_t c = 0; c < whole; c += kLanes) top = larger(load(from + c), top);
  if (rest > 0) top = larger(load_some(from + whole, rest, kLowest), top);
  const float highest = largest(top);

  Lanes sums{};
  for (int64_t c = 0; c < whole; c += kLanes) {
    const Lanes e = exp(load(from + c) - highest);
    store(to + c, e);
    sums += e;
  }
  if (rest > 0) {
    const Lanes e = exp(load_some(from + whole, rest, kLowest) - highest);
    store_some(to + whole, e, rest);
    sums += e;
  }
  const float factor = 1.0f / sum(sums);
#pragma omp simd
  for (int64_t c = 0; c < columns; ++c) to[c] *= factor;
}

}  // namespace psanet::kernels::cpu
