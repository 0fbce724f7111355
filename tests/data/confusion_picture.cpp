#include "data/confusion_picture.h"

#include <set>

#include "tests/support/catch.h"

namespace psanet::data {
namespace {

/// Truth 0 is right in three of four pixels, truth 1 never occurs, truth 2 is always predicted as 0.
ConfusionMatrix three_classes() {
  ConfusionMatrix scores(3);
  scores.add_counts(std::vector<std::int64_t>{3, 0, 1, 0, 0, 0, 8, 0, 0});
  return scores;
}

int brightness(const std::uint8_t* pixel) {
  return pixel[0] + pixel[1] + pixel[2];
}

TEST_CASE("confusion pictures: rows are shares of the truth, dark is much, rows without pixels are grey") {
  const std::vector<std::string> names = {"", "", ""};
  const Image image = draw_confusion(three_classes(), names, "", "");
  // Without names the cells of 52 pixels begin at 20 + 2 * 8 from the left and 20 + 9 + 8 + 16 from the top.
  const auto corner = [&](int truth, int predicted) { return image.at(53 + truth * 52 + 3, 36 + predicted * 52 + 3); };
  CHECK(brightness(corner(2, 0)) < brightness(corner(0, 0)));  // 100 % is darker than 75 %
  CHECK(brightness(corner(0, 0)) < brightness(corner(0, 2)));  // ... than 25 %
  CHECK(brightness(corner(0, 2)) < brightness(corner(0, 1)));  // ... than nothing
  for (int p = 0; p < 3; ++p) CHECK(corner(1, p)[0] == 222);
}

TEST_CASE("confusion pictures have room for names and stay of a size for many classes") {
  for (int classes : {1, 9, 21, 40, 41, 150, 255}) {
    CAPTURE(classes);
    std::vector<std::string> names;
    for (int c = 0; c < classes; ++c) names.push_back("class number " + std::to_string(c));
    const Image image = draw_confusion(ConfusionMatrix(classes), names, "a title", "a caption of some words");
    CHECK(image.width > classes * 4);
    CHECK(image.width < 1500);
    CHECK(image.height < 1500);
  }
}

}  // namespace
}  // namespace psanet::data
