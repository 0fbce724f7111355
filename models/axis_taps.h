// How an axis of an image is resized: which places each output is made of.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace psanet::models {

/// Output i of an axis is the sum over k of weight[i * taps + k] * in[index[i * taps + k]] (kernels::AxisTaps, in host
/// memory).
struct HostTaps {
  int64_t out = 0, taps = 0;
  std::vector<int32_t> index;
  std::vector<float> weight;

  /// Bilinear with half-pixel centres, as OpenCV's INTER_LINEAR on floats: source = (i + 0.5) * in/out - 0.5 as a
  /// float, clamped at the borders, no anti-aliasing (golden "protocol").
  void bilinear(int64_t in, int64_t out);
  /// MATLAB's imresize(..., 'bilinear'): as above, but when shrinking the triangle is as wide as the places that an
  /// output stands for (anti-aliasing), and at the borders the image is reflected.
  void imresize(int64_t in, int64_t out);

  /// Every place is divided by its number of visits and lies `offset` places further.
  void average(std::span<const int32_t> visits, int64_t offset);
};

}  // namespace psanet::models
