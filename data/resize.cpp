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
template <typename In>
void interpolate_row(const In* row, const Axis& x, int channels, float* out) {
  const std::size_t width = x.low.size();
  if (channels == 3) {  // images: let the compiler see the count
    for (std::size_t i = 0; i < width; ++i) {
      const In* a = row + std::ptrdiff_t(x.low[i]) * 3;
      const In* b = row + std::ptrdiff_t(x.high[i]) * 3;
      const float t = x.t[i], s = 1 - t;
      for (int c = 0; c < 3; ++c) out[i * 3 + std::size_t(c)] = float(a[c]) * s + float(b[c]) * t;
    }
    return;
  }
  for (std::size_t i = 0; i < width; ++i) {
    const In* a = row + std::ptrdiff_t(x.low[i]) * channels;
    const In* b = row + std::ptrdiff_t(x.high[i]) * channels;
    const float t = x.t[i], s = 1 - t;
    for (int c = 0; c < channels; ++c)
      out[i * std::size_t(channels) + std::size_t(c)] = float(a[c]) * s + float(b[c]) * t;
  }
}

template <typename In>
void bilinear(const ResizeGrid& g, int channels, const Window& window, const In* in, float* out) {
  const Axis x = bilinear_axis(g.in_w, g.step_w, window.left, window.width);
  const Axis y = bilinear_axis(g.in_h, g.step_h, window.top, window.height);
  const std::size_t in_stride = std::size_t(g.in_w) * std::size_t(channels);
  const std::size_t out_stride = std::size_t(window.width) * std::size_t(channels);
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
      interpolate_row(in + in_stride * std::size_t(want[k]), x, channels, row[k]);
      held[k] = want[k];
    }
    const float t = y.t[std::size_t(oy)], s = 1 - t;
    float* target = out + out_stride * std::size_t(oy);
    const float* a = row[0];
    const float* b = row[1];
    for (std::size_t i = 0; i < out_stride; ++i) target[i] = a[i] * s + b[i] * t;
  }
}

Window whole(const ResizeGrid& g) {
  return {0, 0, g.out_h, g.out_w};
}

void check_not_empty(const ResizeGrid& g) {
  if (g.in_h > 0 && g.in_w > 0 && g.out_h > 0 && g.out_w > 0) return;
  throw DataError(
      fmt::format("cannot resize {} x {} pixels (width x height) to {} x {}: both must have at least one pixel", g.in_w,
                  g.in_h, g.out_w, g.out_h));
}

FloatImage resize(const FloatImage& image, const ResizeGrid& g) {
  FloatImage out(g.out_h, g.out_w);
  resize_bilinear(g, 3, whole(g), image.pixels.data(), out.pixels.data());
  return out;
}

LabelMap resize(const LabelMap& label, const ResizeGrid& g) {
  LabelMap out(g.out_h, g.out_w);
  resize_nearest(g, whole(g), label.labels.data(), out.labels.data());
  return out;
}

}  // namespace

ResizeGrid grid_by_factor(int in_h, int in_w, double factor) {
  ResizeGrid g{in_h, in_w, int(std::lrint(in_h * factor)), int(std::lrint(in_w * factor)), 1 / factor, 1 / factor};
  check_not_empty(g);
  return g;
}

ResizeGrid grid_to_size(int in_h, int in_w, int out_h, int out_w) {
  ResizeGrid g{in_h, in_w, out_h, out_w, 1, 1};
  check_not_empty(g);
  g.step_h = double(in_h) / out_h;
  g.step_w = double(in_w) / out_w;
  return g;
}

void resize_bilinear(const ResizeGrid& grid, int channels, const Window& window, const float* in, float* out) {
  bilinear(grid, channels, window, in, out);
}

void resize_bilinear(const ResizeGrid& grid, int channels, const Window& window, const std::uint8_t* in, float* out) {
  bilinear(grid, channels, window, in, out);
}

void resize_nearest(const ResizeGrid& g, const Window& window, const std::uint8_t* in, std::uint8_t* out) {
  std::vector<int> column(std::size_t(window.width));
  for (int x = 0; x < window.width; ++x) {
    column[std::size_t(x)] = std::min(int(std::floor((window.left + x) * g.step_w)), g.in_w - 1);
  }
  for (int y = 0; y < window.height; ++y) {
    const int from = std::min(int(std::floor((window.top + y) * g.step_h)), g.in_h - 1);
    const std::uint8_t* row = in + std::size_t(from) * std::size_t(g.in_w);
    std::uint8_t* target = out + std::size_t(y) * std::size_t(window.width);
    for (std::size_t x = 0; x < column.size(); ++x) target[x] = row[column[x]];
  }
}

FloatImage resize_by(const FloatImage& image, double factor) {
  return resize(image, grid_by_factor(image.height, image.width, factor));
}
FloatImage resize_to(const FloatImage& image, int height, int width) {
  return resize(image, grid_to_size(image.height, image.width, height, width));
}
LabelMap resize_by(const LabelMap& label, double factor) {
  return resize(label, grid_by_factor(label.height, label.width, factor));
}
LabelMap resize_to(const LabelMap& label, int height, int width) {
  return resize(label, grid_to_size(label.height, label.width, height, width));
}

}  // namespace psanet::data
