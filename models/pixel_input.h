// How 8-bit pixels become network input.
#pragma once

#include <array>

namespace psanet::models {

/// input = (value - mean) / std, channels in RGB or BGR order. The defaults are semseg's; the Caffe weights want BGR
/// with the mean (123.68, 116.779, 103.939) and std 1 (SPEC 3).
struct PixelInput {
  std::array<float, 3> mean{0.485f * 255, 0.456f * 255, 0.406f * 255};  // R, G, B; 0..255
  std::array<float, 3> std{0.229f * 255, 0.224f * 255, 0.225f * 255};   // R, G, B
  bool bgr = false;                                                     // the network's channels are B, G, R
};

}  // namespace psanet::models
