#include "data/heat_map.h"

#include <cmath>

#include "data/error.h"
#include "tests/data/made_up.h"

using namespace psanet::data;
using namespace psanet::tests;

TEST_CASE("heat colours grow lighter all the way") {
  double before = -1;
  for (int i = 0; i <= 255; ++i) {
    const Rgb c = heat_color(i / 255.0);
    const double light = 0.2126 * c.r + 0.7152 * c.g + 0.0722 * c.b;
    CHECK(light >= before);
    before = light;
  }
  CHECK(heat_color(-1) == heat_color(0));
  CHECK(heat_color(2) == heat_color(1));
}

TEST_CASE("a heat map colours its image and leaves unknown pixels grey") {
  const Image image(1, 3, {90, 90, 90});
  const std::vector<float> values = {0, 2, std::nanf("")};
  const Image out = heat_over(image, values, 0, 2, 1.0);
  CHECK(Rgb{out.at(0, 0)[0], out.at(0, 0)[1], out.at(0, 0)[2]} == heat_color(0));
  CHECK(Rgb{out.at(0, 1)[0], out.at(0, 1)[1], out.at(0, 1)[2]} == heat_color(1));
  CHECK(Rgb{out.at(0, 2)[0], out.at(0, 2)[1], out.at(0, 2)[2]} == Rgb{90, 90, 90});
  CHECK_THROWS_AS(heat_over(Image(2, 2), values, 0, 2), DataError);
}

TEST_CASE("a colour bar runs from the lowest to the highest colour and a mark is a ring") {
  const Image bar = color_bar(100, 0, 1);
  CHECK(bar.height == kColorBarHeight);
  CHECK(Rgb{bar.at(8, 0)[0], bar.at(8, 0)[1], bar.at(8, 0)[2]} == heat_color(0));
  CHECK(Rgb{bar.at(8, 99)[0], bar.at(8, 99)[1], bar.at(8, 99)[2]} == heat_color(1));
  Image image(21, 21, {9, 9, 9});
  mark_point(image, 10, 10);
  CHECK(image.at(10, 10)[0] == 9);
  CHECK(image.at(10, 15)[0] == 255);
  mark_point(image, 0, 0);  // cut off, no harm
}
