#include "data/bar_chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "data/drawing.h"
#include "data/error.h"
#include "data/font.h"

namespace psanet::data {
namespace {

constexpr int kMargin = 24, kRow = 22, kBar = 11, kLine = 3, kPlot = 420, kColumnGap = 40, kSubtitleRow = 18;
constexpr double kTitleCaps = 15, kTextCaps = 9.5, kSmallCaps = 8.5;
constexpr Rgb kGrid{222, 222, 218}, kFaint{110, 112, 118}, kFrame{120, 120, 120}, kThin{168, 172, 182};
constexpr int kMostDecades = 6;

/// Powers of ten from `low` to `high`, drawn over `width` pixels.
struct LogScale {
  int low = 0, high = 1, width = kPlot;

  int pixels(double value) const {
    if (value <= 0) return 0;
    const double place = (std::log10(value) - low) / (high - low);
    return std::clamp(int(std::lround(place * width)), 1, width);  // what is there can be seen
  }
};

LogScale scale_of(const std::vector<Bar>& bars) {
  double least = 0, most = 0;
  for (const Bar& bar : bars) {
    for (const double value : {bar.value, bar.second}) {
      if (value <= 0) continue;
      least = least == 0 ? value : std::min(least, value);
      most = std::max(most, value);
    }
  }
  LogScale scale;
  if (most == 0) return scale;
  scale.high = int(std::ceil(std::log10(most) - 1e-9));
  scale.low = std::min(int(std::floor(std::log10(least) + 1e-9)), scale.high - 1);
  scale.low = std::max(scale.low, scale.high - kMostDecades);
  return scale;
}

std::string number_text(double value) {
  if (value <= 0) return "none";
  if (value >= 10) return fmt::format("{:.1f}", value);
  if (value >= 0.1) return fmt::format("{:.2f}", value);
  return value >= 0.0001 ? fmt::format("{:.4f}", value) : "< 0.0001";
}

double widest_text(const std::vector<Bar>& bars) {
  double widest = 0;
  for (const Bar& bar : bars) widest = std::max(widest, text_width(bar.name, kTextCaps));
  return widest;
}

/// Lines and numbers of the powers of ten.
void draw_grid(Image& image, const LogScale& scale, int top, int left, int height) {
  for (int power = scale.low; power <= scale.high; ++power) {
    const int x = left + (power - scale.low) * scale.width / (scale.high - scale.low);
    fill_rectangle(image, {top, x, height, 1}, kGrid);
    const std::string text = fmt::format("{:g}", std::pow(10.0, power));
    draw_text(image, x - text_width(text, kSmallCaps) / 2, top + height + 6, text, kSmallCaps, kFaint);
  }
}

void draw_bar(Image& image, const Bar& bar, const LogScale& scale, int top, int left, int name_width) {
  const double text_top = top + (kBar - kTextCaps) / 2;
  draw_text(image, left + name_width - text_width(bar.name, kTextCaps) - 8, text_top, bar.name, kTextCaps, kInk);
  const int plot = left + name_width, length = scale.pixels(bar.value), second = scale.pixels(bar.second);
  if (length > 0) {  // a frame keeps light colours visible
    fill_rectangle(image, {top, plot, kBar, length}, kFrame);
    fill_rectangle(image, {top + 1, plot, kBar - 2, std::max(length - 1, 1)}, bar.color);
  }
  if (second > 0) fill_rectangle(image, {top + kBar + 1, plot, kLine, second}, kThin);
  draw_text(image, plot + scale.width + 10, text_top, number_text(bar.value), kTextCaps, bar.value > 0 ? kInk : kFaint);
}

}  // namespace

Image draw_bar_chart(const BarChart& chart) {
  if (chart.bars.empty()) throw DataError("a bar chart without bars");
  const int count = int(chart.bars.size());
  const int columns = (count + chart.bars_per_column - 1) / std::max(chart.bars_per_column, 1);
  const int rows = (count + columns - 1) / columns;
  const LogScale scale = scale_of(chart.bars);
  const int name_width = int(std::ceil(widest_text(chart.bars))) + 10;
  const int value_width = 76;
  const int column_width = name_width + scale.width + value_width;
  const int head = int(kTitleCaps) + 14 + int(chart.subtitles.size()) * kSubtitleRow + 6;
  const int plot_height = rows * kRow + 8;

  int width = columns * column_width + (columns - 1) * kColumnGap;
  width = std::max(width, int(std::ceil(text_width(chart.title, kTitleCaps))));
  for (const std::string& line : chart.subtitles) width = std::max(width, int(std::ceil(text_width(line, kTextCaps))));
  Image image(kMargin * 2 + head + plot_height + 40, width + 2 * kMargin, kPaper);
  draw_text(image, kMargin, kMargin, chart.title, kTitleCaps, kInk);
  for (std::size_t i = 0; i < chart.subtitles.size(); ++i) {
    draw_text(image, kMargin, kMargin + kTitleCaps + 14 + int(i) * kSubtitleRow, chart.subtitles[i], kTextCaps, kFaint);
  }
  const int top = kMargin + head;
  for (int column = 0; column < columns; ++column) {
    const int left = kMargin + column * (column_width + kColumnGap);
    draw_grid(image, scale, top, left + name_width, plot_height);
    draw_text(image, left + name_width + (scale.width - text_width(chart.axis, kSmallCaps)) / 2, top + plot_height + 22,
              chart.axis, kSmallCaps, kFaint);
    for (int row = 0; row < rows && column * rows + row < count; ++row) {
      draw_bar(image, chart.bars[std::size_t(column * rows + row)], scale, top + 6 + row * kRow, left, name_width);
    }
  }
  return image;
}

}  // namespace psanet::data
