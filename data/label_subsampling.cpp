#include "data/label_subsampling.h"

namespace psanet::data {

namespace {
/// The nearest of 0..in-1 to place i of 0..out-1; halves go up.
std::int64_t nearest_place(std::int64_t i, std::int64_t in, std::int64_t out) {
  return out == 1 ? 0 : (2 * i * (in - 1) + (out - 1)) / (2 * (out - 1));
}
}  // namespace

void subsample_labels(std::int64_t count, const LabelSize& in, const std::uint8_t* from, const LabelSize& out,
                      std::uint8_t* to) {
  for (std::int64_t n = 0; n < count; ++n) {
    const std::uint8_t* map = from + n * in.height * in.width;
    for (std::int64_t y = 0; y < out.height; ++y) {
      const std::uint8_t* row = map + nearest_place(y, in.height, out.height) * in.width;
      for (std::int64_t x = 0; x < out.width; ++x) *to++ = row[nearest_place(x, in.width, out.width)];
    }
  }
}

}  // namespace psanet::data
