#include "data/drawing.h"

#include <algorithm>

namespace psanet::data {

void fill_rectangle(Image& image, const Rectangle& r, Rgb color) {
  for (int y = std::max(0, r.top); y < std::min(image.height, r.top + r.height); ++y) {
    for (int x = std::max(0, r.left); x < std::min(image.width, r.left + r.width); ++x) image.set(y, x, color);
  }
}

}  // namespace psanet::data
