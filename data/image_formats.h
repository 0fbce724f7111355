// The decoders and encoders behind codec.h, from and to memory. `name` is the file that messages speak of.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "data/image.h"

namespace psanet::data {

using Bytes = std::span<const std::uint8_t>;

Image decode_jpeg(Bytes bytes, const std::string& name);
Image decode_png(Bytes bytes, const std::string& name);
Image decode_rare(Bytes bytes, const std::string& name, const char* format);  ///< BMP, GIF, PPM/PGM, TGA

struct LabelPng {
  LabelMap label;
  std::vector<Rgb> palette;  ///< empty for a grey PNG
};
LabelPng decode_label_png(Bytes bytes, const std::string& name);

std::vector<std::uint8_t> encode_jpeg(const Image& image, int quality, const std::string& name);
std::vector<std::uint8_t> encode_png(const Image& image, const std::string& name);
std::vector<std::uint8_t> encode_label_png(const LabelMap& label, std::span<const Rgb> palette,
                                           const std::string& name);

/// DataError if a header announces no pixels or more than the limits of codec.h.
void check_size(long height, long width, const std::string& name);

}  // namespace psanet::data
