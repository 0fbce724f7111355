// Pooling windows along one axis, for every backend. Range: a backend's pair of places (begin, end), of the type that
// it counts with.
#pragma once

#include "kernels/pool.h"

namespace psanet::kernels {

template <class Int>
PSANET_EVERYWHERE constexpr Int rounded_up_quotient(Int a, Int b) {
  return (a + b - 1) / b;
}

/// Windows of one size at equal distances.
template <class Range>
struct PoolAxis {
  using Int = decltype(Range::begin);
  Int in, out, kernel, stride, pad;

  /// First place of window `o`, padding included (so it may be negative).
  PSANET_EVERYWHERE Int start(Int o) const { return o * stride - pad; }
  /// Places of window `o` inside the map.
  PSANET_EVERYWHERE Range inside(Int o) const {
    const Int begin = start(o), end = begin + kernel;
    return {begin > 0 ? begin : 0, end < in ? end : in};
  }
  /// Windows that cover place `i`.
  PSANET_EVERYWHERE Range windows_of(Int i) const {
    const Int reach = i + pad - kernel + 1;  // start of the first window that still covers i, moved by the padding
    const Int end = (i + pad) / stride + 1;
    return {reach <= 0 ? 0 : rounded_up_quotient(reach, stride), end < out ? end : out};
  }
  Int largest_window() const { return kernel < in ? kernel : in; }
};

/// Window `o` covers floor(o*in/out) .. ceil((o+1)*in/out)-1.
template <class Range>
struct AdaptiveAxis {
  using Int = decltype(Range::begin);
  Int in, out;

  PSANET_EVERYWHERE Range inside(Int o) const { return {o * in / out, rounded_up_quotient((o + 1) * in, out)}; }
  PSANET_EVERYWHERE Range windows_of(Int i) const {
    // o*in/out <= i  <=>  o*in < (i+1)*out;  ceil((o+1)*in/out) > i  <=>  (o+1)*in > i*out
    return {i * out / in, rounded_up_quotient((i + 1) * out, in)};
  }
  Int largest_window() const { return in / out + 2 < in ? in / out + 2 : in; }
};

template <class Range, class Int = decltype(Range::begin)>
PoolAxis<Range> vertical(const PoolDims& d) {
  return {Int(d.in_h), Int(d.out_h()), Int(d.kernel_h), Int(d.stride_h), Int(d.pad_h)};
}
template <class Range, class Int = decltype(Range::begin)>
PoolAxis<Range> horizontal(const PoolDims& d) {
  return {Int(d.in_w), Int(d.out_w()), Int(d.kernel_w), Int(d.stride_w), Int(d.pad_w)};
}
template <class Range, class Int = decltype(Range::begin)>
AdaptiveAxis<Range> vertical(const AdaptivePoolDims& d) {
  return {Int(d.in_h), Int(d.out_h)};
}
template <class Range, class Int = decltype(Range::begin)>
AdaptiveAxis<Range> horizontal(const AdaptivePoolDims& d) {
  return {Int(d.in_w), Int(d.out_w)};
}

}  // namespace psanet::kernels
