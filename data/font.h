// A stroke font of our own for titles and legends: printable ASCII as lines and curves, drawn smooth at any size.
#pragma once

#include <string_view>

#include "data/image.h"

namespace psanet::data {

/// Sizes are given as the height of capital letters, in pixels. Below the baseline, letters reach a third of it.
double text_width(std::string_view text, double cap_height);

/// Draws `text` with the top of its capitals at y and its left edge at x; what lies outside the image is cut off.
void draw_text(Image& image, double x, double y, std::string_view text, double cap_height, Rgb color);

}  // namespace psanet::data
