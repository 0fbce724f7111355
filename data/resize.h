// Resizing with half-pixel centres, the way OpenCV's INTER_LINEAR (on float) and INTER_NEAREST do it, because the
// official training and test protocols resize with those (SPEC 5, 6). No anti-aliasing, no rounding of the result.
//
// Everything can be computed for a window of the output alone, with exactly the values the whole output would have
// there.
#pragma once

#include <cstdint>

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
  double step = 1;
};

/// By a factor: out = round-half-to-even(in * factor), and step = 1 / factor exactly, not in / out. DataError if
/// nothing is left.
ResizeGrid grid_by_factor(int in_h, int in_w, double factor);

/// `in` [in_h, in_w, 3] -> `out` [window.height, window.width, 3], no padding between rows; each value taken as a
/// float.
void resize_bilinear(const ResizeGrid& grid, const Window& window, const std::uint8_t* in, float* out);
/// `in` [in_h, in_w] -> `out` [window.height, window.width].
void resize_nearest(const ResizeGrid& grid, const Window& window, const std::uint8_t* in, std::uint8_t* out);

}  // namespace psanet::data
