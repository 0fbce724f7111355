// Pooling windows along one axis, on the device: the same windows as the CPU's.
#pragma once

#include <cstdint>

#include "kernels/cuda/range.h"
#include "kernels/pool.h"

namespace psanet::kernels::cuda {

__host__ __device__ constexpr int rounded_up_quotient(int a, int b) {
  return (a + b - 1) / b;
}

/// Windows of one size at equal distances.
struct PoolAxis {
  int in, out, kernel, stride, pad;

  /// First place of window `o`, padding included (so it may be negative).
  __host__ __device__ int start(int o) const { return o * stride - pad; }
  /// Places of window `o` inside the map.
  __host__ __device__ Range inside(int o) const {
    const int begin = start(o), end = begin + kernel;
    return {begin > 0 ? begin : 0, end < in ? end : in};
  }
  /// Windows that cover place `i`.
  __host__ __device__ Range windows_of(int i) const {
    const int reach = i + pad - kernel + 1;  // start of the first window that still covers i, moved by the padding
    const int end = (i + pad) / stride + 1;
    return {reach <= 0 ? 0 : rounded_up_quotient(reach, stride), end < out ? end : out};
  }
  int largest_window() const { return kernel < in ? kernel : in; }
};

/// Window `o` covers floor(o*in/out) .. ceil((o+1)*in/out)-1.
struct AdaptiveAxis {
  int in, out;

  __host__ __device__ Range inside(int o) const { return {o * in / out, rounded_up_quotient((o + 1) * in, out)}; }
  __host__ __device__ Range windows_of(int i) const { return {i * out / in, rounded_up_quotient((i + 1) * out, in)}; }
  int largest_window() const { return in / out + 2 < in ? in / out + 2 : in; }
};

inline PoolAxis vertical(const PoolDims& d) {
  return {static_cast<int>(d.in_h), static_cast<int>(d.out_h()), static_cast<int>(d.kernel_h),
          static_cast<int>(d.stride_h), static_cast<int>(d.pad_h)};
}
inline PoolAxis horizontal(const PoolDims& d) {
  return {static_cast<int>(d.in_w), static_cast<int>(d.out_w()), static_cast<int>(d.kernel_w),
          static_cast<int>(d.stride_w), static_cast<int>(d.pad_w)};
}
inline AdaptiveAxis vertical(const AdaptivePoolDims& d) {
  return {static_cast<int>(d.in_h), static_cast<int>(d.out_h)};
}
inline AdaptiveAxis horizontal(const AdaptivePoolDims& d) {
  return {static_cast<int>(d.in_w), static_cast<int>(d.out_w)};
}

}  // namespace psanet::kernels::cuda
