#include "data/resize.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "data/error.h"

namespace psanet::data {
namespace {

/// Where the outputs [first, first + count) of one axis read.
struct Axis {
  std::vector<int> low;   ///< input index; the second tap is high[i]
  std::vector<int> high;  ///< low + 1, or low at the border
  std::vector<float> t;   ///< weight of the second tap
};

Axis bilinear_axis(int in, double step, int first, int count) {
  Axis axis;
  axis.low.resize(std::size_t(count));
  axis.high.resize(std::size_t(count));
  axis.t.resize(std::size_t(count));
  for (int i = 0; i < count; ++i) {
    const float f = float((first + i + 0.5) * step - 0.5);
    int low = int(std::floor(f));
    float t = f - float(low);
    if (low < 0) low = 0, t = 0;
    if (low >= in - 1) low = in - 1, t = 0;
    axis.low[std::size_t(i)] = low;
    axis.high[std::size_t(i)] = std::min(low + 1, in - 1);
    axis.t[std::size_t(i)] = t;
  }
  return axis;
}

/// Interpolates one input row along x.
void interpolate_row(const std::uint8_t* row, const Axis& x, float* out) {
  for (std::size_t i = 0; i < x.low.size(); ++i) {
    const std::uint8_t* a = row + std::ptrdiff_t(x.low[i]) * 3;
    const std::uint8_t* b = row + std::ptrdiff_t(x.high[i]) * 3;
    const float t = x.t[i], s = 1 - t;
    for (int c = 0; c < 3; ++c) *out++ = float(a[c]) * s + float(b[c]) * t;
  }
}

}  // namespace

ResizeGrid grid_by_factor(int in_h, int in_w, double factor) {
  const ResizeGrid g{in_h, in_w, int(std::lrint(in_h * factor)), int(std::lrint(in_w * factor)), 1 / factor};
  if (g.in_h > 0 && g.in_w > 0 && g.out_h > 0 && g.out_w > 0) return g;
  throw DataError(
      fmt::format("cannot resize {} x {} pixels (width x height) to {} x {}: both must have at least one pixel", g.in_w,
                  g.in_h, g.out_w, g.out_h));
}

void resize_bilinear(const ResizeGrid& g, const Window& window, const std::uint8_t* in, float* out) {
  const Axis x = bilinear_axis(g.in_w, g.step, window.left, window.width);
  const Axis y = bilinear_axis(g.in_h, g.step, window.top, window.height);
  const std::size_t in_stride = std::size_t(g.in_w) * 3;
  const std::size_t out_stride = std::size_t(window.width) * 3;
  // Two input rows, interpolated along x, are alive at a time; neighbouring outputs mostly share them.
  std::vector<float> rows(out_stride * 2);
  float* row[2] = {rows.data(), rows.data() + out_stride};
  int held[2] = {-1, -1};
  for (int oy = 0; oy < window.height; ++oy) {
    const int want[2] = {y.low[std::size_t(oy)], y.high[std::size_t(oy)]};
    if (held[0] != want[0] && held[1] == want[0]) {
      std::swap(row[0], row[1]);
      std::swap(held[0], held[1]);
    }
    for (int k = 0; k < 2; ++k) {
      if (held[k] == want[k]) continue;
      interpolate_row(in + in_stride * std::size_t(want[k]), x, row[k]);
      held[k] = want[k];
    }
    const float t = y.t[std::size_t(oy)], s = 1 - t;
    float* target = out + out_stride * std::size_t(oy);
    const float* a = row[0];
    const float* b = row[1];
    for (std::size_t i = 0; i < out_stride; ++i) target[i] = a[i] * s + b[i] * t;
  }
}

void resize_nearest(const ResizeGrid& g, const Window& window, const std::uint8_t* in, std::uint8_t* out) {
  std::vector<int> column(std::size_t(window.width));
  for (int x = 0; x < window.width; ++x) {
    column[std::size_t(x)] = std::min(int(std::floor((window.left + x) * g.step)), g.in_w - 1);
  }
  for (int y = 0; y < window.height; ++y) {
    const int from = std::min(int(std::floor((window.top + y) * g.step)), g.in_h - 1);
    const std::uint8_t* row = in + std::size_t(from) * std::size_t(g.in_w);
    std::uint8_t* target = out + std::size_t(y) * std::size_t(window.width);
    for (std::size_t x = 0; x < column.size(); ++x) target[x] = row[column[x]];
  }
}

}  // namespace psanet::data
