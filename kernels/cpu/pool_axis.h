// Pooling windows along one axis.
#pragma once

#include "kernels/cpu/parallel.h"
#include "kernels/pool.h"

namespace psanet::kernels::cpu {

/// Windows of one size at equal distances.
struct PoolAxis {
  int64_t in, out, kernel, stride, pad;

  /// First place of window `o`, padding included (so it may be negative).
  int64_t start(int64_t o) const { return o * stride - pad; }
  /// Places of window `o` inside the map.
  Range inside(int64_t o) const { return {std::max<int64_t>(0, start(o)), std::min(in, start(o) + kernel)}; }
  /// Windows that cover place `i`.
  Range windows_of(int64_t i) const {
    const int64_t reach = i + pad - kernel + 1;  // start of the first window that still covers i, moved by the padding
    return {reach <= 0 ? 0 : ceil_div(reach, stride), std::min(out, (i + pad) / stride + 1)};
  }
};

inline PoolAxis vertical(const PoolDims& d) {
  return {d.in_h, d.out_h(), d.kernel_h, d.stride_h, d.pad_h};
}
inline PoolAxis horizontal(const PoolDims& d) {
  return {d.in_w, d.out_w(), d.kernel_w, d.stride_w, d.pad_w};
}

}  // namespace psanet::kernels::cpu
