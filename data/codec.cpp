#include "data/codec.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "data/error.h"
#include "data/file_bytes.h"
#include "data/image_formats.h"

namespace psanet::data {
namespace {

enum class Format { jpeg, png, bmp, gif, pnm, tga, unknown };

Format format_of(Bytes bytes, const std::filesystem::path& path) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (text.starts_with("\xFF\xD8\xFF")) return Format::jpeg;
  if (text.starts_with("\x89PNG\r\n\x1A\n")) return Format::png;
  if (text.starts_with("BM")) return Format::bmp;
  if (text.starts_with("GIF8")) return Format::gif;
  if (text.starts_with("P5") || text.starts_with("P6")) return Format::pnm;
  const std::string extension = path.extension().string();  // TGA is the one format without a magic number
  if (extension == ".tga" || extension == ".TGA") return Format::tga;
  return Format::unknown;
}

std::string first_bytes(Bytes bytes) {
  std::string text;
  for (std::size_t i = 0; i < std::min<std::size_t>(bytes.size(), 4); ++i) text += fmt::format(" {:02x}", bytes[i]);
  return text;
}

}  // namespace

void check_size(long height, long width, const std::string& name) {
  if (height <= 0 || width <= 0) {
    throw DataError(fmt::format("{}: its header announces {} x {} pixels (width x height): the file is damaged", name,
                                width, height));
  }
  if (height > kMaxSide || width > kMaxSide || std::size_t(height) * std::size_t(width) > kMaxPixels) {
    throw DataError(
        fmt::format("{}: {} x {} pixels (width x height) is over the limit of {} a side and {} in all; cut or "
                    "shrink it first",
                    name, width, height, kMaxSide, kMaxPixels));
  }
}

Image read_image(const std::filesystem::path& path) {
  const std::vector<std::uint8_t> bytes = read_file_bytes(path);
  const std::string name = path.string();
  if (bytes.empty()) throw DataError(fmt::format("{}: the file is empty; copy it again", name));
  switch (format_of(bytes, path)) {
    case Format::jpeg:
      return decode_jpeg(bytes, name);
    case Format::png:
      return decode_png(bytes, name);
    case Format::bmp:
      return decode_rare(bytes, name, "BMP");
    case Format::gif:
      return decode_rare(bytes, name, "GIF");
    case Format::pnm:
      return decode_rare(bytes, name, "PPM/PGM");
    case Format::tga:
      return decode_rare(bytes, name, "TGA");
    case Format::unknown:
      break;
  }
  throw DataError(fmt::format("{}: not an image we read (it begins with{}); wanted JPEG, PNG, BMP, GIF, PPM/PGM or TGA",
                              name, first_bytes(bytes)));
}

LabelMap read_label(const std::filesystem::path& path) {
  const std::vector<std::uint8_t> bytes = read_file_bytes(path);
  const std::string name = path.string();
  if (bytes.empty()) throw DataError(fmt::format("{}: the file is empty; copy it again", name));
  const Format format = format_of(bytes, path);
  if (format != Format::png) {
    throw DataError(
        fmt::format("{}: a label must be a PNG of class indices ({}); convert it to an 8-bit grey or palette PNG", name,
                    format == Format::jpeg ? "this is a JPEG, which changes values"
                                           : fmt::format("this begins with{}", first_bytes(bytes))));
  }
  return decode_label_png(bytes, name).label;
}

void write_png(const std::filesystem::path& path, const Image& image) {
  write_file_bytes(path, encode_png(image, path.string()));
}

std::vector<std::uint8_t> png_bytes(const Image& image) {
  return encode_png(image, "a picture");
}

std::vector<std::uint8_t> jpeg_bytes(const Image& image, int quality) {
  return encode_jpeg(image, quality, "a picture");
}

void write_jpeg(const std::filesystem::path& path, const Image& image, int quality) {
  write_file_bytes(path, encode_jpeg(image, quality, path.string()));
}

void write_label_png(const std::filesystem::path& path, const LabelMap& label, std::span<const Rgb> palette) {
  write_file_bytes(path, encode_label_png(label, palette, path.string()));
}

}  // namespace psanet::data
