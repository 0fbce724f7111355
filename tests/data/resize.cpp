#include "data/resize.h"

#include "data/error.h"
#include "tests/data/made_up.h"
#include "tests/data/whole_images.h"

using namespace psanet::data;
using namespace psanet::tests;

TEST_CASE("bilinear resizing samples at half-pixel centres and clamps at the border") {
  Image image(1, 3);
  for (int x = 0; x < 3; ++x) image.set(0, x, {std::uint8_t(10 * x), std::uint8_t(20 * x), std::uint8_t(30 * x)});
  float out[18];
  resize_bilinear(grid_by_factor(1, 3, 2), {0, 0, 1, 6}, image.pixels.data(), out);
  const float wanted[6] = {0, 2.5F, 7.5F, 12.5F, 17.5F, 20};
  for (int i = 0; i < 18; ++i) CHECK(out[i] == Approx(wanted[i / 3] * float(1 + i % 3)).margin(1e-5));
}

TEST_CASE("sizes by factor round halves to even, and sampling uses the factor itself") {
  CHECK(grid_by_factor(5, 57, 0.5).out_h == 2);
  CHECK(grid_by_factor(5, 57, 0.5).out_w == 28);
  CHECK(grid_by_factor(7, 55, 0.5).out_h == 4);
  const ResizeGrid grid = grid_by_factor(40, 57, 0.5);
  CHECK(grid.step == 2);
  CHECK_THROWS_AS(grid_by_factor(1, 1, 0.4), DataError);
}

TEST_CASE("nearest resizing has no half-pixel shift") {
  LabelMap label(1, 4);
  label.labels = {1, 2, 3, 4};
  CHECK(resize_by(label, 2).labels == std::vector<std::uint8_t>{1, 1, 2, 2, 3, 3, 4, 4, 1, 1, 2, 2, 3, 3, 4, 4});
  CHECK(resize_by(label, 0.51).labels == std::vector<std::uint8_t>{1, 2});
}

TEST_CASE("a window of a resize has the values of the whole") {
  const Image image = made_up_image(31, 45);
  for (const double factor : {0.6, 1.0, 1.7}) {
    const FloatPicture whole = resize_by(image, factor);
    const Window window{whole.full_h / 3, whole.full_w / 4, whole.full_h / 2, whole.full_w / 3};
    std::vector<float> part(std::size_t(window.height * window.width * 3));
    resize_bilinear(grid_by_factor(31, 45, factor), window, image.pixels.data(), part.data());
    bool equal = true;
    for (int y = 0; y < window.height; ++y) {
      for (int i = 0; i < window.width * 3; ++i) {
        equal &= part[std::size_t(y * window.width * 3 + i)] ==
                 whole.values[std::size_t(((y + window.top) * whole.full_w + window.left) * 3 + i)];
      }
    }
    CHECK(equal);
  }
}
