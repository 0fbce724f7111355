#include "data/drawing.h"

namespace psanet::data {

void fill_rectangle(Image& image, const Rectangle& r, Rgb color) {
  for (int y = r.top; y < r.top + r.height; ++y) {
    for (int x = r.left; x < r.left + r.width; ++x) image.set(y, x, color);
  }
}

}  // namespace psanet::data
