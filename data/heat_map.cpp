#include "data/heat_map.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "data/drawing.h"
#include "data/error.h"
#include "data/font.h"

namespace psanet::data {

Rgb heat_color(double value) {
  // Control points of equal distance, each lighter than the one before.
  static constexpr double kPoints[][3] = {{8, 8, 40},    {70, 18, 110},  {160, 38, 110},
                                          {228, 88, 60}, {250, 168, 50}, {252, 248, 190}};
  constexpr int kSteps = int(std::size(kPoints)) - 1;
  const double at = std::clamp(value, 0.0, 1.0) * kSteps;
  const int k = std::min(int(at), kSteps - 1);
  const auto channel = [&](int c) {
    return std::uint8_t(std::lround(kPoints[k][c] + (at - k) * (kPoints[k + 1][c] - kPoints[k][c])));
  };
  return {channel(0), channel(1), channel(2)};
}

Image heat_over(const Image& image, std::span<const float> values, double low, double high, double opacity) {
  if (values.size() * 3 != image.pixels.size()) {
    throw DataError(fmt::format("a heat map of {} values over an image of {} x {} pixels", values.size(), image.width,
                                image.height));
  }
  Image out(image.height, image.width);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::uint8_t* p = image.pixels.data() + i * 3;
    const double grey = 0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2];
    const bool known = !std::isnan(values[i]);
    const Rgb c = known ? heat_color(high > low ? (double(values[i]) - low) / (high - low) : 0) : Rgb{};
    const double share = known ? opacity : 0;
    const std::uint8_t heat[3] = {c.r, c.g, c.b};
    for (std::size_t k = 0; k < 3; ++k)
      out.pixels[i * 3 + k] = std::uint8_t(std::lround(grey * (1 - share) + heat[k] * share));
  }
  return out;
}

Image color_bar(int width, double low, double high) {
  Image bar(kColorBarHeight, width, kPaper);
  for (int y = 4; y < 16; ++y) {
    for (int x = 0; x < width; ++x) bar.set(y, x, heat_color(width > 1 ? double(x) / (width - 1) : 0));
  }
  constexpr double kCaps = 9;
  const std::string left = fmt::format("{:.3g}", low), middle = fmt::format("{:.3g}", (low + high) / 2),
                    right = fmt::format("{:.3g}", high);
  draw_text(bar, 0, 20, left, kCaps, kInk);
  draw_text(bar, (width - text_width(middle, kCaps)) / 2, 20, middle, kCaps, kInk);
  draw_text(bar, width - text_width(right, kCaps) - 1, 20, right, kCaps, kInk);
  return bar;
}

void mark_point(Image& image, int y, int x, int radius) {
  for (int r = std::max(0, y - radius - 2); r <= std::min(image.height - 1, y + radius + 2); ++r) {
    for (int c = std::max(0, x - radius - 2); c <= std::min(image.width - 1, x + radius + 2); ++c) {
      const double distance = std::hypot(double(r - y), double(c - x)) - radius;
      if (std::abs(distance) <= 1)
        image.set(r, c, {255, 255, 255});
      else if (std::abs(distance) <= 2)
        image.set(r, c, {0, 0, 0});
    }
  }
}

}  // namespace psanet::data
