#include "apps/attention_picture.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "data/heat_map.h"
#include "data/picture.h"
#include "engine/error.h"

namespace psanet::apps {

namespace {

/// Between these values a map's colours run. Without softmax, weights may be negative.
std::pair<float, float> range_of(const std::vector<float>& values) {
  float low = 0, high = 0;
  for (const float v : values) {
    if (std::isnan(v)) continue;
    low = std::min(low, v);
    high = std::max(high, v);
  }
  return {low, high};
}

/// The map over the enlarged image, with the point and, below, its colour bar.
data::Image heat_panel(const data::Image& image, const std::vector<float>& values, ImagePoint point, int factor) {
  const auto [low, high] = range_of(values);
  data::Image heat = data::enlarge(data::heat_over(image, values, low, high), factor);
  data::mark_point(heat, point.y * factor + factor / 2, point.x * factor + factor / 2);
  const data::Image bar = data::color_bar(heat.width, low, high);
  heat.pixels.insert(heat.pixels.end(), bar.pixels.begin(), bar.pixels.end());
  heat.height += bar.height;
  return heat;
}

}  // namespace

std::vector<ImagePoint> parse_points(const std::string& text, const data::Image& image) {
  std::vector<ImagePoint> points;
  for (size_t first = 0; first <= text.size();) {
    const size_t end = std::min(text.find(';', first), text.size());
    const std::string one = text.substr(first, end - first);
    ImagePoint p;
    const char* last = one.data() + one.size();
    const auto x = std::from_chars(one.data(), last, p.x);
    bool good = x.ec == std::errc() && x.ptr != last && *x.ptr == ',';
    if (good) {
      const auto y = std::from_chars(x.ptr + 1, last, p.y);
      good = y.ec == std::errc() && y.ptr == last;
    }
    if (!good) throw ConfigError(fmt::format("--points: found \"{}\", want x,y;x,y in pixels of the image", one));
    if (p.x < 0 || p.y < 0 || p.x >= image.width || p.y >= image.height) {
      throw ConfigError(fmt::format("--points: {},{} lies outside the image; want x in 0..{} and y in 0..{}", p.x, p.y,
                                    image.width - 1, image.height - 1));
    }
    points.push_back(p);
    first = end + 1;
  }
  return points;
}

data::Image attention_picture(models::AttentionReader& reader, const data::Image& image,
                              const std::vector<ImagePoint>& points) {
  const data::FloatImage pixels(image);
  const models::FloatImageView view{pixels.height, pixels.width, pixels.pixels.data()};
  const int factor = std::max(1, 319 / image.width + 1);
  data::Sheet sheet;
  sheet.least_panel_width = 1;  // the panels are enlarged already, their bars must not be
  sheet.column_titles = {"image"};
  for (const ImagePoint point : points) {
    data::Image marked = data::enlarge(image, factor);
    data::mark_point(marked, point.y * factor + factor / 2, point.x * factor + factor / 2);
    sheet.rows.push_back({marked});
    const models::Placement placement = reader.place(view, point.y, point.x);
    for (const models::Attention& attention : reader.read(view, placement)) {
      if (sheet.rows.size() == 1) sheet.column_titles.push_back(attention.title());
      const auto map = attention.map_of(models::position_of(placement, attention, point.y, point.x));
      const auto over = models::over_image(placement, attention, map, image.height, image.width);
      sheet.rows.back().push_back(heat_panel(image, over, point, factor));
    }
  }
  return data::draw_sheet(sheet);
}

}  // namespace psanet::apps
