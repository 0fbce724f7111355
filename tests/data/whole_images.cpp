#include "tests/data/whole_images.h"

#include <algorithm>

namespace psanet::tests {

using namespace psanet::data;

namespace {

template <typename T>
Patch<T> empty(int height, int width, int channels) {
  Patch<T> patch;
  patch.reshape(height, width, {0, 0, height, width}, channels);
  return patch;
}

LabelPatch patch_of(const LabelMap& label) {
  return {label.height, label.width, {0, 0, label.height, label.width}, label.labels};
}

LabelMap label_of(LabelPatch patch) {
  LabelMap label(patch.full_h, patch.full_w);
  label.labels = std::move(patch.values);
  return label;
}

/// Copies what lies inside, fills the rest.
template <typename T, std::size_t channels>
Patch<T> cropped(const Patch<T>& in, const Window& window, const std::array<T, channels>& fill) {
  const CropPlace place = place_crop(in.full_h, in.full_w, window.height, window.width);
  auto out = empty<T>(window.height, window.width, int(channels));
  auto to = out.values.begin();
  for (int y = window.top - place.pad_top; y < window.top - place.pad_top + window.height; ++y) {
    for (int x = window.left - place.pad_left; x < window.left - place.pad_left + window.width; ++x) {
      const bool inside = y >= 0 && y < in.full_h && x >= 0 && x < in.full_w;
      to = std::copy_n(inside ? &in.values[std::size_t(y * in.full_w + x) * channels] : fill.data(), channels, to);
    }
  }
  return out;
}

template <typename T>
Patch<T> mirrored(Patch<T> patch, std::ptrdiff_t channels) {
  for (auto row = patch.values.begin(); row != patch.values.end(); row += patch.full_w * channels) {
    for (std::ptrdiff_t left = 0, right = patch.full_w - 1; left < right; ++left, --right) {
      std::swap_ranges(row + left * channels, row + (left + 1) * channels, row + right * channels);
    }
  }
  return patch;
}

}  // namespace

FloatPicture picture_of(const Image& image) {
  auto out = empty<float>(image.height, image.width, 3);
  std::copy(image.pixels.begin(), image.pixels.end(), out.values.begin());
  return out;
}

FloatPicture resize_by(const Image& image, double factor) {
  const ResizeGrid grid = grid_by_factor(image.height, image.width, factor);
  auto out = empty<float>(grid.out_h, grid.out_w, 3);
  resize_bilinear(grid, out.window, image.pixels.data(), out.values.data());
  return out;
}
LabelMap resize_by(const LabelMap& label, double factor) {
  const ResizeGrid grid = grid_by_factor(label.height, label.width, factor);
  LabelMap out(grid.out_h, grid.out_w);
  resize_nearest(grid, {0, 0, grid.out_h, grid.out_w}, label.labels.data(), out.labels.data());
  return out;
}

FloatPicture rotate(const FloatPicture& picture, double degrees, const Color& fill) {
  auto out = empty<float>(picture.full_h, picture.full_w, 3);
  rotate_linear(Rotation(picture.full_h, picture.full_w, degrees), picture, fill, out);
  return out;
}
LabelMap rotate(const LabelMap& label, double degrees) {
  auto out = empty<std::uint8_t>(label.height, label.width, 1);
  rotate_nearest(Rotation(label.height, label.width, degrees), patch_of(label), kIgnore, out);
  return label_of(std::move(out));
}

FloatPicture blur(const FloatPicture& picture) {
  auto out = empty<float>(picture.full_h, picture.full_w, 3);
  std::vector<float> rows;
  data::blur(picture, out, rows);
  return out;
}

FloatPicture mirror(const FloatPicture& picture) {
  return mirrored(picture, 3);
}
LabelMap mirror(const LabelMap& label) {
  return label_of(mirrored(patch_of(label), 1));
}

FloatPicture crop(const FloatPicture& picture, const Window& window, const Color& fill) {
  return cropped(picture, window, fill);
}
LabelMap crop(const LabelMap& label, const Window& window) {
  return label_of(cropped(patch_of(label), window, std::array{kIgnore}));
}

std::vector<float> normalise(const Normalisation& how, const FloatPicture& picture) {
  std::vector<float> out(picture.values.size());
  for (std::size_t i = 0; i < out.size(); ++i) {
    const std::size_t c = how.bgr ? 2 - i % 3 : i % 3;
    out[i] = (picture.values[i - i % 3 + c] - how.mean[c]) / how.std[c];
  }
  return out;
}

}  // namespace psanet::tests
