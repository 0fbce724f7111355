// Heat maps over images, with a colour bar (Figure 6 of the paper).
#pragma once

#include <span>
#include <string>

#include "data/image.h"

namespace psanet::data {

/// Dark blue over magenta and orange to pale yellow, lightness growing all the way; `value` is clamped to 0..1.
Rgb heat_color(double value);

/// `values` [H, W] of the image over its grey picture: colours from `low` to `high`; where a value is NaN, the grey
/// picture alone. DataError if the sizes differ.
Image heat_over(const Image& image, std::span<const float> values, double low, double high, double opacity = 0.7);

/// A bar of all colours with the numbers of its ends and its middle below, `width` x kColorBarHeight pixels.
inline constexpr int kColorBarHeight = 34;
Image color_bar(int width, double low, double high);

/// A ring around pixel y, x, black and white so that it shows on any ground; what lies outside is cut off.
void mark_point(Image& image, int y, int x, int radius = 5);

}  // namespace psanet::data
