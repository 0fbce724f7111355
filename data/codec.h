// Images and label maps on disk. The format is told from the first bytes of a file, never from its name.
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <vector>

#include "data/image.h"

namespace psanet::data {

/// Any file with more pixels than this, or a longer side, is refused before memory is asked for.
inline constexpr std::size_t kMaxPixels = std::size_t{1} << 27;
inline constexpr int kMaxSide = 1 << 15;

/// Decodes JPEG, PNG, and the rare BMP, GIF (first frame), PPM/PGM and TGA, always to 8-bit RGB: grey is repeated,
/// palettes are expanded, alpha is dropped, 16-bit samples are scaled. Pixels come as stored: an EXIF orientation is
/// not applied, because the labels would not follow. DataError for missing, truncated, corrupt and oversized files.
Image read_image(const std::filesystem::path& path);

/// Decodes a label PNG to its RAW values: the index of a palette PNG, the unscaled value of 1, 2, 4 and 8-bit grey
/// (16-bit grey while every value is below 256). Colour and alpha are DataErrors that say how to convert.
LabelMap read_label(const std::filesystem::path& path);

/// The same pixels and settings always give the same bytes; writes are atomic (temporary name, sync, rename).
void write_png(const std::filesystem::path& path, const Image& image);
/// The bytes of such files.
std::vector<std::uint8_t> png_bytes(const Image& image);
std::vector<std::uint8_t> jpeg_bytes(const Image& image, int quality = 90);
void write_jpeg(const std::filesystem::path& path, const Image& image, int quality = 90);

/// 8-bit grey PNG, or with a palette (at most 256 colours, entry = label value, missing ones black) an indexed one.
void write_label_png(const std::filesystem::path& path, const LabelMap& label, std::span<const Rgb> palette = {});

}  // namespace psanet::data
