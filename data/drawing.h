// What our drawings share: paper, ink, filled rectangles.
#pragma once

#include "data/image.h"

namespace psanet::data {

inline constexpr Rgb kPaper{250, 250, 248}, kInk{40, 42, 48};

struct Rectangle {
  int top = 0, left = 0, height = 0, width = 0;
};

/// Fills what of it lies inside the image.
void fill_rectangle(Image& image, const Rectangle& rectangle, Rgb color);

}  // namespace psanet::data
