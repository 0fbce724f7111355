#include "models/pixel_resize.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace psanet::models {

namespace {

/// The two places a result comes from, and the share of the second.
struct Tap {
  int64_t low = 0, high = 0;
  float t = 0;
};

std::vector<Tap> taps(int64_t in, int64_t out) {
  const double factor = static_cast<double>(in) / static_cast<double>(out);
  std::vector<Tap> result;
  for (int64_t i = 0; i < out; ++i) {
    const auto f = static_cast<float>((static_cast<double>(i) + 0.5) * factor - 0.5);
    auto low = static_cast<int64_t>(std::floor(f));
    float t = f - static_cast<float>(low);
    if (low < 0) {
      low = 0;
      t = 0;
    }
    if (low >= in - 1) {
      low = in - 1;
      t = 0;
    }
    result.push_back({low, std::min(low + 1, in - 1), t});
  }
  return result;
}

}  // namespace

void resize_half_pixel(const PixelResize& dims, const float* in, float* out) {
  const std::vector<Tap> rows = taps(dims.in_h, dims.out_h), columns = taps(dims.in_w, dims.out_w);
  const int64_t c = dims.channels;
  std::vector<float> row(static_cast<size_t>(dims.in_w * c));
  for (int64_t y = 0; y < dims.out_h; ++y) {
    const Tap& v = rows[static_cast<size_t>(y)];
    const float *low = in + v.low * dims.in_w * c, *high = in + v.high * dims.in_w * c;
    for (int64_t i = 0; i < dims.in_w * c; ++i) row[static_cast<size_t>(i)] = (1 - v.t) * low[i] + v.t * high[i];
    for (int64_t x = 0; x < dims.out_w; ++x) {
      const Tap& h = columns[static_cast<size_t>(x)];
      const float *left = row.data() + h.low * c, *right = row.data() + h.high * c;
      float* to = out + (y * dims.out_w + x) * c;
      for (int64_t k = 0; k < c; ++k) to[k] = (1 - h.t) * left[k] + h.t * right[k];
    }
  }
}

}  // namespace psanet::models
