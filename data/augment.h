// Training augmentation (SPEC 5): what is drawn, and one sample made from it.
#pragma once

#include <cstdint>
#include <optional>

#include "data/image.h"
#include "data/transforms.h"

namespace psanet::data {

/// How pixel values become network input: (value - mean) / std, channels in RGB or BGR order.
struct Normalisation {
  Color mean = {0.485F * 255, 0.456F * 255, 0.406F * 255};  ///< RGB order, 0..255
  Color std = {0.229F * 255, 0.224F * 255, 0.225F * 255};   ///< RGB order
  bool bgr = false;                                         ///< write channels as B, G, R (the Caffe weights want that)
};

struct AugmentConfig {
  double scale_min = 0.5, scale_max = 2;
  double rotate_degrees = 10;  ///< angle uniform in [-this, this]
  double rotate_probability = 0.5;
  double blur_probability = 0.5;
  double mirror_probability = 0.5;
  int crop_h = 0, crop_w = 0;
  Normalisation normalisation;  ///< its mean also fills padding and what rotation uncovers
};

/// std::invalid_argument naming the field that makes no sense.
void check(const AugmentConfig& config);

/// What was drawn for one sample.
struct AugmentDraw {
  double scale = 1;
  std::optional<double> rotate_degrees;
  bool blur = false, mirror = false;
  int crop_top = 0, crop_left = 0;  ///< in the scaled and padded image
};

/// Depends on the arguments only. `sample` is the index in the list, not the place in the shuffled order.
AugmentDraw draw_augmentation(const AugmentConfig& config, std::uint64_t seed, std::uint32_t epoch,
                              std::uint32_t sample, int height, int width);

/// Reused memory; one for each thread.
struct AugmentScratch {
  ImagePatch scaled, rotated, blurred;
  LabelPatch scaled_label, rotated_label;
  std::vector<float> rows;
};

/// Applies scale, rotation, blur, mirror, crop, normalisation in the official order. Only pixels that reach the crop
/// are computed; the values are those of the whole-image steps one after the other.
///   out_image [crop_h, crop_w, 3]     out_label [crop_h, crop_w] (255 outside the picture)
void apply_augmentation(const AugmentConfig& config, const AugmentDraw& draw, const Image& image, const LabelMap& label,
                        AugmentScratch& scratch, float* out_image, std::uint8_t* out_label);

}  // namespace psanet::data
