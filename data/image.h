// Pictures and label maps in memory: rows from top to bottom, channels last, no padding between rows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace psanet::data {

/// Label value of a pixel that takes part in neither loss nor metrics (SPEC 7).
inline constexpr std::uint8_t kIgnore = 255;

struct Rgb {
  std::uint8_t r = 0, g = 0, b = 0;
  bool operator==(const Rgb&) const = default;
};

/// A decoded photograph or a drawing.
struct Image {
  int height = 0, width = 0;
  std::vector<std::uint8_t> pixels;  ///< [H, W, 3] RGB

  Image() = default;
  Image(int h, int w, Rgb fill = {}) : height(h), width(w), pixels(std::size_t(h) * std::size_t(w) * 3) {
    for (std::size_t i = 0; i < pixels.size(); i += 3) {
      pixels[i] = fill.r;
      pixels[i + 1] = fill.g;
      pixels[i + 2] = fill.b;
    }
  }
  std::uint8_t* at(int y, int x) { return pixels.data() + (std::size_t(y) * std::size_t(width) + std::size_t(x)) * 3; }
  const std::uint8_t* at(int y, int x) const {
    return pixels.data() + (std::size_t(y) * std::size_t(width) + std::size_t(x)) * 3;
  }
  void set(int y, int x, Rgb c) {
    std::uint8_t* p = at(y, x);
    p[0] = c.r;
    p[1] = c.g;
    p[2] = c.b;
  }
};

/// A class index (or kIgnore, or a raw file value) per pixel.
struct LabelMap {
  int height = 0, width = 0;
  std::vector<std::uint8_t> labels;  ///< [H, W]

  LabelMap() = default;
  LabelMap(int h, int w, std::uint8_t fill = 0) : height(h), width(w), labels(std::size_t(h) * std::size_t(w), fill) {}
  std::uint8_t& at(int y, int x) { return labels[std::size_t(y) * std::size_t(width) + std::size_t(x)]; }
  std::uint8_t at(int y, int x) const { return labels[std::size_t(y) * std::size_t(width) + std::size_t(x)]; }
};

/// A picture as networks take it; values stay in 0..255 and are never rounded.
struct FloatImage {
  int height = 0, width = 0;
  std::vector<float> pixels;  ///< [H, W, 3] RGB, 0..255

  explicit FloatImage(const Image& image)
      : height(image.height), width(image.width), pixels(image.pixels.begin(), image.pixels.end()) {}
};

}  // namespace psanet::data
