#include "data/picture.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "data/drawing.h"
#include "data/error.h"
#include "data/font.h"

namespace psanet::data {
namespace {

constexpr Rgb kLine{190, 190, 190};
constexpr int kMargin = 16, kGap = 10;
constexpr double kTitleCaps = 15, kColumnCaps = 12, kLegendCaps = 10;
constexpr int kSwatchW = 22, kSwatchH = 14, kLegendRow = 24;

void paste(Image& sheet, const Image& image, int top, int left) {
  for (int y = 0; y < image.height; ++y)
    std::copy_n(image.at(y, 0), std::size_t(image.width) * 3, sheet.at(top + y, left));
}

void draw_text_centred(Image& image, int left, int width, int y, const std::string& text, double caps) {
  draw_text(image, left + std::max(0.0, (width - text_width(text, caps)) / 2), y, text, caps, kInk);
}

/// How many legend entries fit side by side.
struct LegendLayout {
  int cell_w = 1, per_row = 1, rows = 0;
};

LegendLayout lay_out_legend(const std::vector<LegendEntry>& legend, int width) {
  if (legend.empty()) return {};
  double widest = 0;
  for (const LegendEntry& entry : legend) widest = std::max(widest, text_width(entry.name, kLegendCaps));
  LegendLayout layout;
  layout.cell_w = kSwatchW + 8 + int(std::ceil(widest)) + 18;
  layout.per_row = std::clamp(width / layout.cell_w, 1, int(legend.size()));
  layout.rows = (int(legend.size()) + layout.per_row - 1) / layout.per_row;
  return layout;
}

}  // namespace

Image colourise(const LabelMap& label, std::span<const Rgb> palette, Rgb ignore_color) {
  Image image(label.height, label.width);
  for (std::size_t i = 0; i < label.labels.size(); ++i) {
    const std::uint8_t v = label.labels[i];
    const Rgb c = v != kIgnore && v < palette.size() ? palette[v] : ignore_color;
    image.pixels[i * 3] = c.r;
    image.pixels[i * 3 + 1] = c.g;
    image.pixels[i * 3 + 2] = c.b;
  }
  return image;
}

Image colourise(const LabelMap& label, const Dataset& dataset) {
  return colourise(label, dataset.palette(), dataset.ignore_color);
}

Image overlay(const Image& bottom, const Image& top, double opacity) {
  if (bottom.height != top.height || bottom.width != top.width) {
    throw DataError(fmt::format("cannot lay a picture of {} x {} pixels (width x height) over one of {} x {}",
                                top.width, top.height, bottom.width, bottom.height));
  }
  Image out = bottom;
  for (std::size_t i = 0; i < out.pixels.size(); ++i) {
    out.pixels[i] = std::uint8_t(std::lround(bottom.pixels[i] * (1 - opacity) + top.pixels[i] * opacity));
  }
  return out;
}

Image enlarge(const Image& image, int factor) {
  if (factor <= 1) return image;
  Image out(image.height * factor, image.width * factor);
  for (int y = 0; y < out.height; ++y) {
    for (int x = 0; x < out.width; ++x) std::copy_n(image.at(y / factor, x / factor), 3, out.at(y, x));
  }
  return out;
}

std::vector<LegendEntry> legend_of(const Dataset& dataset, std::span<const LabelMap> labels) {
  std::set<int> present;
  for (const LabelMap& label : labels) present.insert(label.labels.begin(), label.labels.end());
  std::vector<LegendEntry> legend;
  for (const int v : present) {
    if (v < dataset.class_count())
      legend.push_back({dataset.classes[std::size_t(v)].name, dataset.classes[std::size_t(v)].color});
  }
  if (present.count(kIgnore)) legend.push_back({"ignored", dataset.ignore_color});
  return legend;
}

Image draw_sheet(const Sheet& sheet) {
  std::size_t columns = 0;
  int widest = 0;
  for (const auto& row : sheet.rows) {
    columns = std::max(columns, row.size());
    for (const Image& image : row) widest = std::max(widest, image.width);
  }
  if (widest == 0) throw DataError("a sheet of pictures without any picture");
  const int factor = std::max(1, (sheet.least_panel_width + widest - 1) / widest);
  const int panel_w = widest * factor;
  std::vector<int> row_heights;
  for (const auto& row : sheet.rows) {
    int height = 0;
    for (const Image& image : row) height = std::max(height, image.height * factor);
    row_heights.push_back(height);
  }

  const int inner_w = int(columns) * panel_w + (int(columns) - 1) * kGap;
  const LegendLayout legend = lay_out_legend(sheet.legend, inner_w);
  const int title_h = sheet.title.empty() ? 0 : int(kTitleCaps) + 18;
  const int column_h = sheet.column_titles.empty() ? 0 : int(kColumnCaps) + 14;
  int height = kMargin + title_h + column_h;
  for (const int h : row_heights) height += h + kGap;
  height += legend.rows > 0 ? legend.rows * kLegendRow + 6 : 0;
  height += kMargin - kGap;

  Image out(height, inner_w + 2 * kMargin, kPaper);
  int y = kMargin;
  if (title_h > 0) draw_text(out, kMargin, y, sheet.title, kTitleCaps, kInk);
  y += title_h;
  for (std::size_t c = 0; c < std::min(columns, sheet.column_titles.size()); ++c) {
    draw_text_centred(out, kMargin + int(c) * (panel_w + kGap), panel_w, y, sheet.column_titles[c], kColumnCaps);
  }
  y += column_h;
  for (std::size_t r = 0; r < sheet.rows.size(); ++r) {
    for (std::size_t c = 0; c < sheet.rows[r].size(); ++c) {
      paste(out, enlarge(sheet.rows[r][c], factor), y, kMargin + int(c) * (panel_w + kGap));
    }
    y += row_heights[r] + kGap;
  }
  y += 6;
  for (std::size_t i = 0; i < sheet.legend.size(); ++i) {
    const int left = kMargin + int(i) % legend.per_row * legend.cell_w, top = y + int(i) / legend.per_row * kLegendRow;
    if (left + kSwatchW > out.width) continue;
    fill_rectangle(out, {top, left, kSwatchH, kSwatchW}, kLine);  // a thin frame keeps light colours visible
    fill_rectangle(out, {top + 1, left + 1, kSwatchH - 2, kSwatchW - 2}, sheet.legend[i].color);
    draw_text(out, left + kSwatchW + 8, top + (kSwatchH - kLegendCaps) / 2, sheet.legend[i].name, kLegendCaps, kInk);
  }
  return out;
}

Image label_sheet(const Dataset& dataset, const Image& image, const std::vector<std::string>& titles,
                  const std::vector<LabelMap>& maps) {
  Sheet sheet;
  sheet.column_titles = {"image"};
  sheet.rows = {{image}};
  for (std::size_t m = 0; m < maps.size(); ++m) {
    sheet.column_titles.push_back(titles[m]);
    sheet.rows[0].push_back(colourise(maps[m], dataset));
  }
  sheet.legend = legend_of(dataset, maps);
  return draw_sheet(sheet);
}

}  // namespace psanet::data
