// Which two places a resized place is read from, along one axis, in the float32 arithmetic of PyTorch.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/cpu/parallel.h"

namespace psanet::kernels::cpu {

/// value = weight_low * x[low] + weight_high * x[high]; high = low at the far border (its weight is then 0).
struct Tap {
  int64_t low = 0, high = 0;
  float weight_low = 1, weight_high = 0;

  /// Weight with which place `i` is read.
  float weight_at(int64_t i) const { return (low == i ? weight_low : 0.0f) + (high == i ? weight_high : 0.0f); }
};

class ResizeAxis {
 public:
  ResizeAxis(int64_t in, int64_t out, bool align_corners) : in_(in), out_(out), align_corners_(align_corners) {
    if (align_corners) {
      scale_ = out > 1 ? static_cast<float>(in - 1) / static_cast<float>(out - 1) : 0.0f;
    } else {
      scale_ = static_cast<float>(in) / static_cast<float>(out);
    }
  }

  int64_t in() const { return in_; }
  int64_t out() const { return out_; }

  Tap operator[](int64_t o) const {
    const float source = position(o);
    Tap tap;
    tap.low = std::min(static_cast<int64_t>(source), in_ - 1);
    tap.high = std::min(tap.low + 1, in_ - 1);
    tap.weight_high = std::clamp(source - static_cast<float>(tap.low), 0.0f, 1.0f);
    tap.weight_low = 1.0f - tap.weight_high;
    return tap;
  }

  /// Outputs whose lower place is `i` (they are neighbours, and cells follow one another in order).
  Range cell(int64_t i) const { return {first_from(i), first_from(i + 1)}; }

  /// Outputs that read place `i`.
  Range readers(int64_t i) const { return {first_from(i - 1), first_from(i + 1)}; }

 private:
  float position(int64_t o) const {
    const auto place = static_cast<float>(o);
    return align_corners_ ? scale_ * place : std::max(0.0f, scale_ * (place + 0.5f) - 0.5f);
  }

  /// First output whose lower place is at least `i`.
  int64_t first_from(int64_t i) const {
    if (i <= 0) return 0;
    if (i >= in_) return out_;
    int64_t begin = 0, end = out_;  // positions never decrease
    while (begin < end) {
      const int64_t middle = (begin + end) / 2;
      if (static_cast<int64_t>(position(middle)) >= i) {
        end = middle;
      } else {
        begin = middle + 1;
      }
    }
    return begin;
  }

  int64_t in_, out_;
  bool align_corners_;
  float scale_;
};

}  // namespace psanet::kernels::cpu
