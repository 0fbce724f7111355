// Resizing with half-pixel centres, the way OpenCV's INTER_LINEAR (on float) and INTER_NEAREST do it, because the
// official training and test protocols resize with those (SPEC 5, 6). No anti-aliasing, no rounding of the result.
//
// Everything can be computed for a window of the output alone, with exactly the values the whole output would have
// there.
#pragma once

#include <cstdint>

#include "data/image.h"

namespace psanet::data {

struct Window {
  int top = 0, left = 0, height = 0, width = 0;
  bool operator==(const Window&) const = default;
};

/// How output positions map to input positions: along each axis in = (out + 0.5) * step - 0.5 (bilinear) or
/// floor(out * step) (nearest).
struct ResizeGrid {
  int in_h = 0, in_w = 0;
  int out_h = 0, out_w = 0;
  double step_h = 1, step_w = 1;
};

/// By a factor: out = round-half-to-even(in * factor), and step = 1 / factor exactly, not in / out. DataError if
/// nothing is left.
ResizeGrid grid_by_factor(int in_h, int in_w, double factor);
/// To a size: step = in / out.
ResizeGrid grid_to_size(int in_h, int in_w, int out_h, int out_w);

/// `in` [in_h, in_w, channels] -> `out` [window.height, window.width, channels], both float, no padding between rows.
void resize_bilinear(const ResizeGrid& grid, int channels, const Window& window, const float* in, float* out);
/// The same from 8-bit input, each value taken as a float.
void resize_bilinear(const ResizeGrid& grid, int channels, const Window& window, const std::uint8_t* in, float* out);
/// `in` [in_h, in_w] -> `out` [window.height, window.width].
void resize_nearest(const ResizeGrid& grid, const Window& window, const std::uint8_t* in, std::uint8_t* out);

FloatImage resize_by(const FloatImage& image, double factor);
FloatImage resize_to(const FloatImage& image, int height, int width);
LabelMap resize_by(const LabelMap& label, double factor);
LabelMap resize_to(const LabelMap& label, int height, int width);

}  // namespace psanet::data
