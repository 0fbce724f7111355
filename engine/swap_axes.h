// Between our order of axes, channels last, and that of files, channels before places.
#pragma once

#include <cstdint>
#include <vector>

namespace psanet {

/// Values [outer, a, b] as [outer, b, a].
inline std::vector<float> swap_axes(const std::vector<float>& from, int64_t outer, int64_t a, int64_t b) {
  std::vector<float> to(from.size());
  for (int64_t o = 0; o < outer; ++o) {
    for (int64_t i = 0; i < a; ++i) {
      for (int64_t j = 0; j < b; ++j) {
        to[static_cast<size_t>((o * b + j) * a + i)] = from[static_cast<size_t>((o * a + i) * b + j)];
      }
    }
  }
  return to;
}

}  // namespace psanet
