// Statistics as table, CSV, JSON and chart.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

#include "data/bar_chart.h"
#include "data/dataset_statistics.h"

namespace psanet::data {
namespace {

/// Class indices, the commonest first.
std::vector<int> by_frequency(const DatasetStatistics& statistics) {
  std::vector<int> order(statistics.class_pixels.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
    return statistics.class_pixels[std::size_t(a)] > statistics.class_pixels[std::size_t(b)];
  });
  return order;
}

double ignored_share(const DatasetStatistics& s) {
  return s.pixels > 0 ? double(s.ignored_pixels) / double(s.pixels) : 0;
}

std::string size_text(const DatasetStatistics& s) {
  if (s.sizes.empty()) return "no images";
  if (s.sizes.size() == 1) {
    return fmt::format("all {} x {} pixels (width x height)", s.sizes.begin()->first.second,
                       s.sizes.begin()->first.first);
  }
  int widest = 0, narrowest = 1 << 30, tallest = 0, lowest = 1 << 30;
  auto commonest = s.sizes.begin();
  for (auto it = s.sizes.begin(); it != s.sizes.end(); ++it) {
    const auto [height, width] = it->first;
    widest = std::max(widest, width), narrowest = std::min(narrowest, width);
    tallest = std::max(tallest, height), lowest = std::min(lowest, height);
    if (it->second > commonest->second) commonest = it;
  }
  return fmt::format("{} sizes: width {} to {}, height {} to {}; most often {} x {} ({} images)", s.sizes.size(),
                     narrowest, widest, lowest, tallest, commonest->first.second, commonest->first.first,
                     commonest->second);
}

}  // namespace

std::string statistics_table(const Dataset& dataset, const DatasetStatistics& s) {
  std::size_t width = 5;
  for (const ClassInfo& c : dataset.classes) width = std::max(width, c.name.size());
  std::string text = fmt::format("{:<{}}  {:>5}  {:>14}  {:>9}  {:>8}  {:>9}\n", "class", width, "index", "pixels",
                                 "pixels %", "images", "images %");
  for (const int c : by_frequency(s)) {
    const auto i = std::size_t(c);
    text += fmt::format("{:<{}}  {:>5}  {:>14}  {:>9.4f}  {:>8}  {:>9.2f}\n", dataset.classes[i].name, width, c,
                        s.class_pixels[i], 100 * s.pixel_share(c), s.class_images[i], 100 * s.image_share(c));
  }
  text += fmt::format("without a class: {:.2f} % of {} pixels (left out of the shares above)\n", 100 * ignored_share(s),
                      s.pixels);
  text += fmt::format("images: {}, {}\n", s.images, size_text(s));
  text += fmt::format("pixels, R G B: mean {:.3f} {:.3f} {:.3f}, standard deviation {:.3f} {:.3f} {:.3f} (0..255)\n",
                      s.mean[0], s.mean[1], s.mean[2], s.deviation[0], s.deviation[1], s.deviation[2]);
  return text;
}

std::string statistics_csv(const Dataset& dataset, const DatasetStatistics& s) {
  std::string text = "class,pixels,pixel_share,images,image_share\n";
  for (int c = 0; c < dataset.class_count(); ++c) {
    const auto i = std::size_t(c);
    text += fmt::format("\"{}\",{},{:.8f},{},{:.8f}\n", dataset.classes[i].name, s.class_pixels[i], s.pixel_share(c),
                        s.class_images[i], s.image_share(c));
  }
  return text;
}

std::string statistics_json(const Dataset& dataset, const DatasetStatistics& s, const std::string& split) {
  nlohmann::ordered_json document = {
      {"dataset", dataset.name},     {"split", split},     {"images", s.images},          {"pixels", s.pixels},
      {"ignored", s.ignored_pixels}, {"mean_rgb", s.mean}, {"deviation_rgb", s.deviation}};
  for (const auto& [size, count] : s.sizes)
    document["sizes"].push_back({{"height", size.first}, {"width", size.second}, {"images", count}});
  for (int c = 0; c < dataset.class_count(); ++c) {
    const auto i = std::size_t(c);
    document["classes"].push_back({{"name", dataset.classes[i].name},
                                   {"pixels", s.class_pixels[i]},
                                   {"pixel_share", s.pixel_share(c)},
                                   {"images", s.class_images[i]},
                                   {"image_share", s.image_share(c)}});
  }
  return document.dump(2) + "\n";
}

Image statistics_chart(const Dataset& dataset, const DatasetStatistics& s, const std::string& split) {
  BarChart chart;
  chart.title = fmt::format("{}, {}: {} images", dataset.name, split, s.images);
  chart.subtitles = {"bars and numbers: share of the pixels that have a class",
                     "thin lines: share of the images that contain the class",
                     fmt::format("{:.1f} % of all pixels have no class", 100 * ignored_share(s))};
  chart.axis = "% (logarithmic)";
  for (const int c : by_frequency(s)) {
    const ClassInfo& info = dataset.classes[std::size_t(c)];
    chart.bars.push_back({info.name, info.color, 100 * s.pixel_share(c), 100 * s.image_share(c)});
  }
  return draw_bar_chart(chart);
}

}  // namespace psanet::data
