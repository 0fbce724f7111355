// Bounds on sizes that come from files, so that no shape rule can overflow: what is within kMostSize can be doubled,
// and two such sizes can be multiplied. How large a tensor may be is the graph's affair (check_size in engine/type.h).
#pragma once

#include <cstdint>

#include "layers/check.h"

namespace psanet::layers {

inline constexpr int64_t kMostSize = INT32_MAX;

/// Throws ConfigError unless low <= value <= high.
inline void require_range(int64_t value, int64_t low, int64_t high, const char* name) {
  require(value >= low && value <= high, "{} is {}, want {} to {}", name, value, low, high);
}

/// Of a window: not so large or small that it overflows. The op itself refuses what is below `low`.
inline void require_bounded(Size2 size, int64_t low, const char* name) {
  for (const int64_t value : {size.h, size.w}) {
    if (value < -kMostSize || value > kMostSize) require_range(value, low, kMostSize, name);
  }
}

/// Of an image: at least 1.
inline void require_size(Size2 size, const char* name) {
  require_range(size.h, 1, kMostSize, name);
  require_range(size.w, 1, kMostSize, name);
}

}  // namespace psanet::layers
