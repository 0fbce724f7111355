#include "data/augment.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "data/random.h"

namespace psanet::data {
namespace {

void require(bool good, const std::string& what) {
  if (!good) throw std::invalid_argument("augmentation: " + what);
}

/// The part of the scaled picture that the crop shows, and where it lands in the crop.
struct Visible {
  Window window;  ///< in the scaled (not yet mirrored) picture
  int top = 0, left = 0;
};

Visible visible_part(const AugmentConfig& config, const AugmentDraw& draw, int height, int width) {
  const CropPlace place = place_crop(height, width, config.crop_h, config.crop_w);
  const int top = draw.crop_top - place.pad_top, left = draw.crop_left - place.pad_left;
  const int first_y = std::max(top, 0), end_y = std::min(top + config.crop_h, height);
  const int first_x = std::max(left, 0), end_x = std::min(left + config.crop_w, width);
  Visible v{{first_y, first_x, end_y - first_y, end_x - first_x}, first_y - top, first_x - left};
  if (draw.mirror) v.window.left = width - first_x - v.window.width;
  return v;
}

void normalise_row(const Normalisation& how, const float* in, int count, bool backwards, float* out) {
  const int order[3] = {how.bgr ? 2 : 0, 1, how.bgr ? 0 : 2};
  const std::ptrdiff_t step = backwards ? -3 : 3;
  if (backwards) in += std::ptrdiff_t(count - 1) * 3;
  for (int i = 0; i < count; ++i, in += step, out += 3) {
    for (int c = 0; c < 3; ++c) {
      const auto from = std::size_t(order[c]);
      out[c] = (in[from] - how.mean[from]) / how.std[from];
    }
  }
}

}  // namespace

void check(const AugmentConfig& c) {
  const auto probability = [](double p) { return p >= 0 && p <= 1; };
  require(c.crop_h > 0 && c.crop_w > 0,
          fmt::format("crop of {} x {} (height x width), wanted at least 1 x 1", c.crop_h, c.crop_w));
  require(c.scale_min > 0 && c.scale_max >= c.scale_min && c.scale_max <= 64,
          fmt::format("scale from {} to {}, wanted 0 < min <= max <= 64", c.scale_min, c.scale_max));
  require(c.rotate_degrees >= 0 && c.rotate_degrees <= 180,
          fmt::format("rotation of {} degrees, wanted 0..180", c.rotate_degrees));
  require(probability(c.rotate_probability), fmt::format("rotate_probability {}, wanted 0..1", c.rotate_probability));
  require(probability(c.blur_probability), fmt::format("blur_probability {}, wanted 0..1", c.blur_probability));
  require(probability(c.mirror_probability), fmt::format("mirror_probability {}, wanted 0..1", c.mirror_probability));
  for (const float s : c.normalisation.std) require(s > 0, fmt::format("std {}, wanted above 0", s));
}

AugmentDraw draw_augmentation(const AugmentConfig& config, std::uint64_t seed, std::uint32_t epoch,
                              std::uint32_t sample, int height, int width) {
  KeyedRandom random(seed, Purpose::augment, epoch, sample);
  // Every number is drawn whether it is used or not: changing one probability leaves the other draws as they were.
  AugmentDraw draw;
  draw.scale = random.uniform(config.scale_min, config.scale_max);
  const bool rotate = random.chance(config.rotate_probability);
  const double degrees = random.uniform(-config.rotate_degrees, config.rotate_degrees);
  if (rotate && degrees != 0) draw.rotate_degrees = degrees;
  draw.blur = random.chance(config.blur_probability);
  draw.mirror = random.chance(config.mirror_probability);
  const ResizeGrid grid = grid_by_factor(height, width, draw.scale);
  const CropPlace place = place_crop(grid.out_h, grid.out_w, config.crop_h, config.crop_w);
  draw.crop_top = int(random.below(std::uint32_t(place.free_h) + 1));
  draw.crop_left = int(random.below(std::uint32_t(place.free_w) + 1));
  return draw;
}

void apply_augmentation(const AugmentConfig& config, const AugmentDraw& draw, const Image& image, const LabelMap& label,
                        AugmentScratch& scratch, float* out_image, std::uint8_t* out_label) {
  const ResizeGrid grid = grid_by_factor(image.height, image.width, draw.scale);
  const int height = grid.out_h, width = grid.out_w;
  const Visible visible = visible_part(config, draw, height, width);

  // Backwards: which window each step has to make.
  const Window to_blur = draw.blur ? blur_source_of(height, width, visible.window) : visible.window;
  std::optional<Rotation> rotation;
  Window to_rotate = to_blur, label_to_rotate = visible.window;
  if (draw.rotate_degrees) {
    rotation.emplace(height, width, *draw.rotate_degrees);
    to_rotate = rotation->source_of(to_blur);
    label_to_rotate = rotation->source_of(visible.window);
  }

  // Forwards.
  scratch.scaled.reshape(height, width, to_rotate, 3);
  resize_bilinear(grid, to_rotate, image.pixels.data(), scratch.scaled.values.data());
  scratch.scaled_label.reshape(height, width, label_to_rotate, 1);
  resize_nearest(grid, label_to_rotate, label.labels.data(), scratch.scaled_label.values.data());
  const ImagePatch* picture = &scratch.scaled;
  const LabelPatch* classes = &scratch.scaled_label;
  if (rotation) {
    scratch.rotated.reshape(height, width, to_blur, 3);
    rotate_linear(*rotation, *picture, config.normalisation.mean, scratch.rotated);
    picture = &scratch.rotated;
    scratch.rotated_label.reshape(height, width, visible.window, 1);
    rotate_nearest(*rotation, *classes, kIgnore, scratch.rotated_label);
    classes = &scratch.rotated_label;
  }
  if (draw.blur) {
    scratch.blurred.reshape(height, width, visible.window, 3);
    blur(*picture, scratch.blurred, scratch.rows);
    picture = &scratch.blurred;
  }

  const int rows = visible.window.height, columns = visible.window.width;
  const std::size_t crop_w = std::size_t(config.crop_w), crop_pixels = std::size_t(config.crop_h) * crop_w;
  if (rows < config.crop_h || columns < config.crop_w) {
    std::fill_n(out_image, crop_pixels * 3, 0.0F);  // padding has the mean colour, which normalises to 0
    std::fill_n(out_label, crop_pixels, kIgnore);
  }
  for (int y = 0; y < rows; ++y) {
    const std::size_t target = std::size_t(visible.top + y) * crop_w + std::size_t(visible.left);
    normalise_row(config.normalisation, picture->values.data() + std::size_t(y) * std::size_t(columns) * 3, columns,
                  draw.mirror, out_image + target * 3);
    const std::uint8_t* row = classes->values.data() + std::size_t(y) * std::size_t(columns);
    if (draw.mirror) {
      std::reverse_copy(row, row + columns, out_label + target);
    } else {
      std::copy_n(row, columns, out_label + target);
    }
  }
}

}  // namespace psanet::data
