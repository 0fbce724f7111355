// The geometric and filtering steps of the training augmentation (SPEC 5), each a pure function of its parameters. They
// follow the fixed-point arithmetic of the OpenCV calls in the official code, so that results agree to float rounding.
//
// A Patch is a window of an image whose full size is known. Steps compute just the window that the next one needs,
// with the values that the whole image would have there.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "data/image.h"
#include "data/resize.h"

namespace psanet::data {

using Color = std::array<float, 3>;  ///< RGB, 0..255

/// Part of an image [full_h, full_w, channels].
template <typename T>
struct Patch {
  int full_h = 0, full_w = 0;
  Window window;
  std::vector<T> values;  ///< [window.height, window.width, channels]

  /// Takes a new shape; memory is kept when it suffices.
  void reshape(int h, int w, const Window& part, int channels) {
    full_h = h;
    full_w = w;
    window = part;
    values.resize(std::size_t(part.height) * std::size_t(part.width) * std::size_t(channels));
  }
};
using ImagePatch = Patch<float>;         ///< 3 channels
using LabelPatch = Patch<std::uint8_t>;  ///< 1 channel

/// Rotation by `degrees` (counter-clockwise) about (w / 2, h / 2), as the map from output to source positions.
class Rotation {
 public:
  Rotation(int height, int width, double degrees);
  /// The source pixels that a window of the output reads, cut to the image; may be empty. Covers both samplings.
  Window source_of(const Window& out) const;
  /// Source position in 1/1024 pixels, before rounding.
  int x_at(int x, int y) const { return along_x(0, x) + along_y(0, y); }
  int y_at(int x, int y) const { return along_x(1, x) + along_y(1, y); }
  int along_x(int axis, int x) const;
  int along_y(int axis, int y) const;

 private:
  int height_, width_;
  double inverse_[2][3];
};

/// `out` has its shape set and lies in the same full image as `in`; taps outside the image read `fill`.
void rotate_linear(const Rotation& rotation, const ImagePatch& in, const Color& fill, ImagePatch& out);
void rotate_nearest(const Rotation& rotation, const LabelPatch& in, std::uint8_t fill, LabelPatch& out);

/// What a 5x5 blur of a window reads: two pixels more on each side, cut to the image.
Window blur_source_of(int full_h, int full_w, const Window& out);
/// Gaussian 5x5, kernel [1 4 6 4 1] / 16 along each axis, border reflected without repeating the edge pixel.
/// `rows` is scratch memory.
void blur(const ImagePatch& in, ImagePatch& out, std::vector<float>& rows);

/// Where a crop of crop_h x crop_w lies: an image smaller than the crop is first padded, the odd pixel at bottom and
/// right.
struct CropPlace {
  int pad_top = 0, pad_left = 0;
  int free_h = 0, free_w = 0;  ///< offsets 0..free are possible
};
CropPlace place_crop(int height, int width, int crop_h, int crop_w);

}  // namespace psanet::data
