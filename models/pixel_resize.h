// Bilinear resize with half-pixel centres, as OpenCV's INTER_LINEAR on floats: images before the network, probabilities
// after.
#pragma once

#include <cstdint>

namespace psanet::models {

struct PixelResize {
  int64_t in_h = 0, in_w = 0, out_h = 0, out_w = 0, channels = 0;
};

/// out [out_h, out_w, channels] from in [in_h, in_w, channels], host memory: source = (i + 0.5) * in/out - 0.5 as a
/// float, clamped at the borders, no anti-aliasing (golden "protocol").
void resize_half_pixel(const PixelResize& dims, const float* in, float* out);

}  // namespace psanet::models
