#include "data/augment.h"

#include <cmath>
#include <stdexcept>

#include "tests/data/made_up.h"
#include "tests/data/whole_images.h"

using namespace psanet::data;
using namespace psanet::tests;

namespace {

struct Result {
  std::vector<float> image;
  std::vector<std::uint8_t> label;
  bool operator==(const Result&) const = default;
};

Result fast(const AugmentConfig& config, const AugmentDraw& draw, const Image& image, const LabelMap& label) {
  const std::size_t pixels = std::size_t(config.crop_h * config.crop_w);
  Result result{std::vector<float>(pixels * 3, -99), std::vector<std::uint8_t>(pixels, 77)};
  AugmentScratch scratch;
  apply_augmentation(config, draw, image, label, scratch, result.image.data(), result.label.data());
  return result;
}

/// The official order, whole images all the way.
Result step_by_step(const AugmentConfig& config, const AugmentDraw& draw, const Image& image, const LabelMap& label) {
  const Color mean = config.normalisation.mean;
  FloatPicture picture = resize_by(image, draw.scale);
  LabelMap classes = resize_by(label, draw.scale);
  if (draw.rotate_degrees) {
    picture = rotate(picture, *draw.rotate_degrees, mean);
    classes = rotate(classes, *draw.rotate_degrees);
  }
  if (draw.blur) picture = blur(picture);
  if (draw.mirror) {
    picture = mirror(picture);
    classes = mirror(classes);
  }
  const Window window{draw.crop_top, draw.crop_left, config.crop_h, config.crop_w};
  return {normalise(config.normalisation, crop(picture, window, mean)), crop(classes, window).labels};
}

}  // namespace

TEST_CASE("computing only what the crop shows changes no bit of the result") {
  const Image image = made_up_image(50, 70);
  const LabelMap label = made_up_label(50, 70, 6);
  AugmentConfig config;
  config.rotate_degrees = 180;
  int rotated = 0, padded = 0;
  for (std::uint32_t i = 0; i < 300; ++i) {
    config.crop_h = 9 + int(i % 5) * 16;
    config.crop_w = 17 + int(i % 7) * 16;
    config.normalisation.bgr = i % 2 == 1;
    const AugmentDraw draw = draw_augmentation(config, 5, 0, i, 50, 70);
    rotated += draw.rotate_degrees.has_value();
    padded += draw.scale * 50 < config.crop_h;
    INFO("draw " << i);
    REQUIRE(fast(config, draw, image, label) == step_by_step(config, draw, image, label));
  }
  CHECK(rotated > 100);
  CHECK(padded > 30);
}

TEST_CASE("draws depend on seed, epoch and sample only, and stay in their ranges") {
  AugmentConfig config;
  config.crop_h = 33;
  config.crop_w = 41;
  int rotated = 0, blurred = 0, mirrored = 0;
  for (std::uint32_t i = 0; i < 2000; ++i) {
    const AugmentDraw d = draw_augmentation(config, 1, 2, i, 60, 80);
    REQUIRE((d.scale >= 0.5 && d.scale < 2));
    if (d.rotate_degrees) REQUIRE(std::abs(*d.rotate_degrees) <= 10);
    rotated += d.rotate_degrees.has_value();
    blurred += d.blur;
    mirrored += d.mirror;
    const CropPlace place = place_crop(int(std::lrint(60 * d.scale)), int(std::lrint(80 * d.scale)), 33, 41);
    REQUIRE((d.crop_top >= 0 && d.crop_top <= place.free_h && d.crop_left >= 0 && d.crop_left <= place.free_w));
  }
  for (const int count : {rotated, blurred, mirrored}) CHECK(std::abs(count - 1000) < 100);
  const auto a = draw_augmentation(config, 1, 2, 3, 60, 80), b = draw_augmentation(config, 1, 2, 3, 60, 80);
  CHECK(a.scale == b.scale);
  CHECK(a.crop_left == b.crop_left);
  CHECK(a.scale != draw_augmentation(config, 1, 3, 3, 60, 80).scale);
  // Switching blur off does not move the other draws.
  config.blur_probability = 0;
  const auto c = draw_augmentation(config, 1, 2, 3, 60, 80);
  CHECK(c.mirror == a.mirror);
  CHECK(c.crop_left == a.crop_left);
}

TEST_CASE("padding is split evenly with the odd pixel at bottom and right, labels there are ignored") {
  LabelMap label(2, 2, 4);
  const LabelMap out = crop(label, {0, 0, 5, 5});
  CHECK(out.at(1, 1) == 4);
  CHECK(out.at(2, 2) == 4);
  CHECK(out.at(0, 1) == kIgnore);
  CHECK(out.at(3, 1) == kIgnore);
  CHECK(out.at(1, 3) == kIgnore);
}

TEST_CASE("a positive rotation turns counter-clockwise") {
  LabelMap label(20, 20, 0);
  label.at(10, 17) = 9;  // right of the centre
  const LabelMap out = rotate(label, 90);
  int y9 = -1, x9 = -1;
  for (int y = 0; y < 20; ++y) {
    for (int x = 0; x < 20; ++x) {
      if (out.at(y, x) == 9) y9 = y, x9 = x;
    }
  }
  CHECK(y9 == 3);  // above it
  CHECK(x9 == 10);
}

TEST_CASE("normalisation in BGR order writes blue first with its own mean") {
  AugmentConfig config;
  config.crop_h = config.crop_w = 1;
  config.normalisation = {{1, 2, 3}, {1, 2, 3}, true};
  CHECK(fast(config, {}, Image(1, 1, {100, 110, 120}), LabelMap(1, 1)).image == std::vector<float>{39, 54, 99});
}

TEST_CASE("impossible augmentation settings are refused by name") {
  AugmentConfig config;
  contains(message_of<std::invalid_argument>([&] { check(config); }), "crop");
  config.crop_h = config.crop_w = 9;
  check(config);
  config.scale_min = 3;
  contains(message_of<std::invalid_argument>([&] { check(config); }), "scale");
  config.scale_min = 1;
  config.blur_probability = 1.5;
  contains(message_of<std::invalid_argument>([&] { check(config); }), "blur_probability 1.5");
}
