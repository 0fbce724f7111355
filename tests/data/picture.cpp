#include "data/picture.h"

#include "data/error.h"
#include "data/font.h"
#include "tests/data/made_up.h"

using namespace psanet::data;
using namespace psanet::tests;

TEST_CASE("a label map takes the colours of its palette, 255 and unknown values that of ignored pixels") {
  LabelMap label(1, 4);
  label.labels = {0, 1, 255, 9};
  const std::vector<Rgb> palette = {{1, 2, 3}, {4, 5, 6}};
  CHECK(colourise(label, palette, {7, 8, 9}).pixels == std::vector<std::uint8_t>{1, 2, 3, 4, 5, 6, 7, 8, 9, 7, 8, 9});
}

TEST_CASE("an overlay mixes two pictures of one size") {
  const Image dark(2, 2, {0, 0, 0}), light(2, 2, {200, 100, 50});
  CHECK(overlay(dark, light, 0.5).pixels[0] == 100);
  CHECK(overlay(dark, light, 0).pixels == dark.pixels);
  CHECK(overlay(dark, light, 1).pixels == light.pixels);
  CHECK_THROWS_AS(overlay(dark, Image(2, 3)), DataError);
}

TEST_CASE("a legend names the classes that occur, and the ignored pixels") {
  const Dataset dataset = made_up_dataset(4);
  LabelMap a(1, 2), b(1, 2);
  a.labels = {3, 1};
  b.labels = {1, 255};
  const std::vector<LabelMap> maps = {a, b};
  const auto legend = legend_of(dataset, maps);
  REQUIRE(legend.size() == 3);
  CHECK(legend[0].name == "class 1");
  CHECK(legend[1].name == "class 3");
  CHECK(legend[2].name == "ignored");
}

TEST_CASE("a sheet shows every image, enlarged, with titles and a legend in their colours") {
  Sheet sheet;
  sheet.title = "Title";
  sheet.column_titles = {"image", "truth"};
  sheet.rows = {{Image(10, 20, {255, 0, 0}), Image(10, 20, {0, 255, 0})}, {Image(10, 20, {0, 0, 255})}};
  sheet.legend = {{"one", {9, 200, 77}}, {"two", {200, 9, 77}}};
  sheet.least_panel_width = 100;
  const Image out = draw_sheet(sheet);
  const auto count = [&](Rgb c) {
    int n = 0;
    for (int y = 0; y < out.height; ++y) {
      for (int x = 0; x < out.width; ++x) n += Rgb{out.at(y, x)[0], out.at(y, x)[1], out.at(y, x)[2]} == c;
    }
    return n;
  };
  CHECK(count({255, 0, 0}) == 50 * 100);
  CHECK(count({0, 255, 0}) == 50 * 100);
  CHECK(count({0, 0, 255}) == 50 * 100);
  CHECK(count({9, 200, 77}) > 100);
  CHECK(count({200, 9, 77}) > 100);
  Sheet bare;
  bare.rows = sheet.rows;
  bare.least_panel_width = 100;
  CHECK(draw_sheet(bare).height < out.height);
  CHECK_THROWS_AS(draw_sheet(Sheet{}), DataError);
}

TEST_CASE("a legend of 150 classes fits below a single narrow panel") {
  Sheet sheet;
  sheet.rows = {{Image(10, 10)}};
  for (int i = 0; i < 150; ++i) sheet.legend.push_back({"chest of drawers", {1, 2, 3}});
  const Image out = draw_sheet(sheet);
  CHECK(out.width < 500);
  CHECK(out.height > 150 / 3 * 20);
}

TEST_CASE("text darkens the paper where it stands and is as wide as it says") {
  Image image(30, 200, {255, 255, 255});
  draw_text(image, 5, 8, "PSANet", 12, {0, 0, 0});
  int ink = 0, last = 0;
  for (int y = 0; y < 30; ++y) {
    for (int x = 0; x < 200; ++x) {
      if (image.at(y, x)[0] < 128) ++ink, last = std::max(last, x);
    }
  }
  CHECK(ink > 60);
  CHECK(last < 5 + text_width("PSANet", 12));
  CHECK(last > 5 + text_width("PSANet", 12) * 0.85);
  draw_text(image, -20, -5, "cut off", 40, {0, 0, 0});  // outside is cut, not written
}
