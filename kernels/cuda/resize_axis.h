// Which two places a resized place is read from, along one axis, on the device: the CPU's float32 arithmetic, operation
// by operation (nothing contracted), so the same taps and the same weights.
#pragma once

#include <cstdint>

#include "kernels/cuda/range.h"
#include "kernels/resize.h"

namespace psanet::kernels::cuda {

/// value = weight_low * x[low] + weight_high * x[high]; at the far border high = low.
struct Tap {
  int low, high;
  float weight_low, weight_high;

  /// Weight with which place `i` is read.
  __device__ float weight_at(int i) const { return (low == i ? weight_low : 0.0f) + (high == i ? weight_high : 0.0f); }
};

struct ResizeAxis {
  ResizeAxis(int64_t in_size, int64_t out_size, bool corners)
      : in(static_cast<int>(in_size)), out(static_cast<int>(out_size)), align_corners(corners) {
    if (align_corners) {
      scale = out > 1 ? static_cast<float>(in - 1) / static_cast<float>(out - 1) : 0.0f;
    } else {
      scale = static_cast<float>(in) / static_cast<float>(out);
    }
  }

  int in, out;
  bool align_corners;
  float scale;

  __device__ Tap operator[](int o) const {
    const float source = position(o);
    Tap tap;
    tap.low = static_cast<int>(source) < in - 1 ? static_cast<int>(source) : in - 1;
    tap.high = tap.low + 1 < in - 1 ? tap.low + 1 : in - 1;
    const float beyond = __fadd_rn(source, -static_cast<float>(tap.low));
    tap.weight_high = beyond < 0.0f ? 0.0f : beyond > 1.0f ? 1.0f : beyond;
    tap.weight_low = 1.0f - tap.weight_high;
    return tap;
  }

  /// Outputs whose lower place is `i` (they are neighbours, and cells follow one another in order).
  __device__ Range cell(int i) const { return {first_from(i), first_from(i + 1)}; }

  /// Outputs that read place `i`.
  __device__ Range readers(int i) const { return {first_from(i - 1), first_from(i + 1)}; }

 private:
  __device__ float position(int o) const {
    const auto place = static_cast<float>(o);
    if (align_corners) return __fmul_rn(scale, place);
    const float source = __fadd_rn(__fmul_rn(scale, place + 0.5f), -0.5f);
    return source > 0.0f ? source : 0.0f;
  }

  /// First output whose lower place is at least `i`: a guess, put right by the positions themselves, which never
  /// decrease.
  __device__ int first_from(int i) const {
    if (i <= 0) return 0;
    if (i >= in) return out;
    if (scale == 0.0f) return out;  // the one output reads place 0
    const float place = static_cast<float>(i);
    const float guess = align_corners ? place / scale : (place + 0.5f) / scale - 0.5f;
    int o = guess < static_cast<float>(out) ? static_cast<int>(guess) : out;
    while (o > 0 && static_cast<int>(position(o - 1)) >= i) --o;
    while (o < out && static_cast<int>(position(o)) < i) ++o;
    return o;
  }
};

inline ResizeAxis rows_of(const ResizeDims& d) {
  return {d.in_h, d.out_h, d.align_corners};
}
inline ResizeAxis columns_of(const ResizeDims& d) {
  return {d.in_w, d.out_w, d.align_corners};
}

}  // namespace psanet::kernels::cuda
