// Class frequencies and their chart.
#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "data/bar_chart.h"
#include "data/codec.h"
#include "data/dataset_statistics.h"
#include "data/error.h"
#include "tests/data/made_up.h"
#include "tests/support/temporary_folder.h"

using namespace psanet::data;
using namespace psanet::tests;

namespace {

int count_color(const Image& image, Rgb color) {
  int count = 0;
  for (int y = 0; y < image.height; ++y) {
    for (int x = 0; x < image.width; ++x)
      count += Rgb{image.at(y, x)[0], image.at(y, x)[1], image.at(y, x)[2]} == color;
  }
  return count;
}

}  // namespace

TEST_CASE("statistics count pixels, images, sizes and colours, the same for any number of threads") {
  const TemporaryFolder folder;
  const Dataset dataset = made_up_dataset(4);  // class 3 never occurs
  std::vector<Sample> samples;
  double sum = 0, squares = 0, n = 0;
  std::vector<std::int64_t> pixels(256), images(256);
  for (int i = 0; i < 7; ++i) {
    const Image image = made_up_image(10 + i % 2, 12, i);
    LabelMap label = made_up_label(10 + i % 2, 12, 3, i);
    if (i == 2) std::fill(label.labels.begin(), label.labels.end(), std::uint8_t(1));
    samples.push_back({folder / fmt::format("{}.png", i), folder / fmt::format("{}_l.png", i)});
    write_png(samples.back().image, image);
    write_label_png(samples.back().label, label);
    for (std::size_t p = 1; p < image.pixels.size(); p += 3) {  // green
      sum += image.pixels[p];
      squares += double(image.pixels[p]) * image.pixels[p];
      ++n;
    }
    std::vector<bool> seen(256);
    for (const std::uint8_t v : label.labels) ++pixels[v], seen[v] = true;
    for (std::size_t v = 0; v < 256; ++v) images[v] += seen[v];
  }
  const DatasetStatistics s = collect_statistics(dataset, samples, 3);
  CHECK(s.images == 7);
  CHECK(s.class_pixels == std::vector<std::int64_t>{pixels[0], pixels[1], pixels[2], 0});
  CHECK(s.class_images == std::vector<std::int64_t>{images[0], images[1], images[2], 0});
  CHECK(s.ignored_pixels == pixels[255]);
  CHECK(s.pixels == std::int64_t(n));
  CHECK(s.sizes.at({10, 12}) == 4);
  CHECK(s.sizes.at({11, 12}) == 3);
  CHECK(s.mean[1] == Approx(sum / n));
  CHECK(s.deviation[1] == Approx(std::sqrt(squares / n - sum / n * (sum / n))));
  CHECK(s.pixel_share(0) == Approx(double(pixels[0]) / (n - double(pixels[255]))));
  const DatasetStatistics one = collect_statistics(dataset, samples, 1);
  CHECK(one.mean == s.mean);
  CHECK(one.deviation == s.deviation);
  CHECK(statistics_json(dataset, one, "train") == statistics_json(dataset, s, "train"));
  CHECK(nlohmann::json::parse(statistics_json(dataset, s, "train"))["classes"][1]["images"] == images[1]);
  CHECK(contains(statistics_csv(dataset, s), "\"class 3\",0,0.00000000,0,0.00000000\n"));
  CHECK(contains(statistics_table(dataset, s), "width 12 to 12, height 10 to 11; most often 12 x 10 (4 images)"));
  CHECK(statistics_chart(dataset, s, "train").height > 100);
}

TEST_CASE("bars are as long as the logarithm of their value, and a value that is zero has none") {
  BarChart chart;
  const Rgb red{200, 10, 10}, green{10, 200, 10}, blue{10, 10, 200}, yellow{200, 200, 10};
  chart.bars = {{"all", red, 100, 0}, {"one", green, 1, 0}, {"little", blue, 0.01, 0}, {"none", yellow, 0, 0}};
  const Image image = draw_bar_chart(chart);
  const int whole = count_color(image, red), half = count_color(image, green);
  CHECK(whole > 1000);
  CHECK(double(half) / whole == Approx(0.5).margin(0.01));  // 0.01 .. 1 .. 100
  CHECK(count_color(image, blue) > 0);                      // the smallest can still be seen
  CHECK(count_color(image, blue) < whole / 100);
  CHECK(count_color(image, yellow) == 0);
}

TEST_CASE("many bars stand in columns, and a chart without bars is refused") {
  BarChart chart;
  for (int i = 0; i < 150; ++i) chart.bars.push_back({fmt::format("class {}", i), {1, 2, 3}, 1.0 + i, 50});
  const Image wide = draw_bar_chart(chart);
  chart.bars_per_column = 150;
  const Image tall = draw_bar_chart(chart);
  CHECK(wide.height < tall.height / 2);
  CHECK(wide.width > tall.width * 2);
  CHECK(count_color(wide, {1, 2, 3}) == count_color(tall, {1, 2, 3}));
  CHECK_THROWS_AS(draw_bar_chart(BarChart{}), DataError);
}
