// PNG through libpng. As in jpeg.cpp, the functions that a longjmp may leave own nothing with a destructor.
#include <fmt/format.h>
#include <png.h>

#include <csetjmp>
#include <cstring>

#include "data/error.h"
#include "data/image_formats.h"

namespace psanet::data {
namespace {

struct Failure {
  char message[160] = {};
};

struct Source {
  const std::uint8_t* data;
  std::size_t left;
};

[[noreturn]] void on_error(png_structp png, png_const_charp message) {
  auto* failure = static_cast<Failure*>(png_get_error_ptr(png));
  std::strncpy(failure->message, message, sizeof failure->message - 1);
  png_longjmp(png, 1);
}

/// Warnings are about profiles and unknown chunks, never about lost pixels (those are errors in libpng).
void on_warning(png_structp, png_const_charp) {}

void read_bytes(png_structp png, png_bytep out, std::size_t count) {
  auto* source = static_cast<Source*>(png_get_io_ptr(png));
  if (count > source->left) png_error(png, "it ends too early");
  std::memcpy(out, source->data, count);
  source->data += count;
  source->left -= count;
}

void append_bytes(png_structp png, png_bytep in, std::size_t count) {
  auto* bytes = static_cast<std::vector<std::uint8_t>*>(png_get_io_ptr(png));
  bytes->insert(bytes->end(), in, in + count);
}

void flush_nothing(png_structp) {}

struct Header {
  png_uint_32 width = 0, height = 0;
  int bit_depth = 0, color_type = 0;
};

/// A reading session: owns libpng's structures.
class Reader {
 public:
  Reader(Bytes bytes, std::string name) : source_{bytes.data(), bytes.size()}, name_(std::move(name)) {
    png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, &failure_, on_error, on_warning);
    info_ = png_ ? png_create_info_struct(png_) : nullptr;
    if (!info_) {
      png_destroy_read_struct(&png_, nullptr, nullptr);
      throw DataError(fmt::format("cannot read {}: libpng cannot start", name_));
    }
  }
  ~Reader() { png_destroy_read_struct(&png_, &info_, nullptr); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  Header header() {
    Header h;
    if (!try_header(h)) throw damaged();
    check_size(long(h.height), long(h.width), name_);
    return h;
  }

  /// Decodes everything into rows of exactly row_bytes; the wanted transformations have been set.
  void pixels(std::uint8_t* out, std::size_t row_bytes, png_uint_32 height) {
    std::vector<png_bytep> rows(height);
    for (png_uint_32 y = 0; y < height; ++y) rows[y] = out + row_bytes * y;
    const std::size_t announced = try_update();
    if (announced == 0) throw damaged();
    if (announced != row_bytes) {
      throw DataError(fmt::format("{}: PNG rows of {} bytes where {} were expected: the file is damaged", name_,
                                  announced, row_bytes));
    }
    if (!try_pixels(rows.data())) throw damaged();
  }

  /// After header(); empty if there is none.
  std::vector<Rgb> palette() const {
    png_colorp colors = nullptr;
    int count = 0;
    std::vector<Rgb> result;
    if (png_get_PLTE(png_, info_, &colors, &count) == 0) return result;
    for (int i = 0; i < count; ++i) result.push_back({colors[i].red, colors[i].green, colors[i].blue});
    return result;
  }

  png_structp png() const { return png_; }
  png_infop info() const { return info_; }

 private:
  bool try_header(Header& h) {
    if (setjmp(png_jmpbuf(png_))) return false;
    png_set_read_fn(png_, &source_, read_bytes);
    png_read_info(png_, info_);
    png_get_IHDR(png_, info_, &h.width, &h.height, &h.bit_depth, &h.color_type, nullptr, nullptr, nullptr);
    return true;
  }
  std::size_t try_update() {
    if (setjmp(png_jmpbuf(png_))) return 0;
    png_set_interlace_handling(png_);
    png_read_update_info(png_, info_);
    return png_get_rowbytes(png_, info_);
  }
  bool try_pixels(png_bytepp rows) {
    if (setjmp(png_jmpbuf(png_))) return false;
    png_read_image(png_, rows);
    png_read_end(png_, nullptr);
    return true;
  }
  DataError damaged() const {
    return DataError(
        fmt::format("{}: the PNG is truncated or damaged ({}); copy or download it again", name_, failure_.message));
  }

  Source source_;
  std::string name_;
  Failure failure_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
};

struct WriteJob {
  const std::uint8_t* pixels;
  std::size_t row_bytes;
  int height, width, color_type;
  std::span<const Rgb> palette;
};

bool try_write(png_structp png, png_infop info, const WriteJob& job, const png_color* colors) {
  if (setjmp(png_jmpbuf(png))) return false;
  png_set_IHDR(png, info, png_uint_32(job.width), png_uint_32(job.height), 8, job.color_type, PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  if (job.color_type == PNG_COLOR_TYPE_PALETTE) png_set_PLTE(png, info, colors, 256);
  png_set_compression_level(png, 6);
  png_write_info(png, info);
  for (int y = 0; y < job.height; ++y) png_write_row(png, job.pixels + job.row_bytes * std::size_t(y));
  png_write_end(png, info);
  return true;
}

std::vector<std::uint8_t> encode(const WriteJob& job, const std::string& name) {
  check_size(job.height, job.width, name);
  Failure failure;
  std::vector<std::uint8_t> bytes;
  bytes.reserve(job.row_bytes * std::size_t(job.height) / 2 + 1024);
  png_color colors[256] = {};
  for (std::size_t i = 0; i < job.palette.size(); ++i) {
    colors[i] = {job.palette[i].r, job.palette[i].g, job.palette[i].b};
  }
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &failure, on_error, on_warning);
  png_infop info = png ? png_create_info_struct(png) : nullptr;
  bool good = info != nullptr;
  if (good) {
    png_set_write_fn(png, &bytes, append_bytes, flush_nothing);
    good = try_write(png, info, job, colors);
  }
  png_destroy_write_struct(&png, &info);
  if (!good) throw DataError(fmt::format("cannot write {}: PNG encoding failed ({})", name, failure.message));
  return bytes;
}

}  // namespace

Image decode_png(Bytes bytes, const std::string& name) {
  Reader reader(bytes, name);
  const Header h = reader.header();
  png_set_expand(reader.png());  // palettes to colours, 1/2/4-bit grey to 8, tRNS to alpha
  png_set_scale_16(reader.png());
  png_set_gray_to_rgb(reader.png());
  png_set_strip_alpha(reader.png());
  Image image(int(h.height), int(h.width));
  reader.pixels(image.pixels.data(), std::size_t(h.width) * 3, h.height);
  return image;
}

LabelPng decode_label_png(Bytes bytes, const std::string& name) {
  Reader reader(bytes, name);
  const Header h = reader.header();
  if (h.color_type != PNG_COLOR_TYPE_GRAY && h.color_type != PNG_COLOR_TYPE_PALETTE) {
    const char* kind = h.color_type == PNG_COLOR_TYPE_GRAY_ALPHA  ? "grey with alpha"
                       : h.color_type == PNG_COLOR_TYPE_RGB_ALPHA ? "RGB with alpha"
                                                                  : "RGB";
    throw DataError(
        fmt::format("{}: the label PNG is {}, wanted class indices; convert it to one 8-bit grey channel (or a "
                    "palette) whose values are the class indices",
                    name, kind));
  }
  LabelPng png;
  png.palette = reader.palette();
  png.label = LabelMap(int(h.height), int(h.width));
  LabelMap& label = png.label;
  if (h.bit_depth == 16) {
    std::vector<std::uint8_t> wide(label.labels.size() * 2);
    reader.pixels(wide.data(), std::size_t(h.width) * 2, h.height);
    for (std::size_t i = 0; i < label.labels.size(); ++i) {
      if (wide[i * 2] != 0) {
        throw DataError(
            fmt::format("{}: 16-bit label value {} at x={} y={}; only 0..255 can be used, convert it to 8 bits", name,
                        wide[i * 2] * 256 + wide[i * 2 + 1], i % h.width, i / h.width));
      }
      label.labels[i] = wide[i * 2 + 1];
    }
    return png;
  }
  png_set_packing(reader.png());  // one value a byte, not scaled
  reader.pixels(label.labels.data(), h.width, h.height);
  return png;
}

std::vector<std::uint8_t> encode_png(const Image& image, const std::string& name) {
  return encode({.pixels = image.pixels.data(),
                 .row_bytes = std::size_t(image.width) * 3,
                 .height = image.height,
                 .width = image.width,
                 .color_type = PNG_COLOR_TYPE_RGB,
                 .palette = {}},
                name);
}

std::vector<std::uint8_t> encode_label_png(const LabelMap& label, std::span<const Rgb> palette,
                                           const std::string& name) {
  if (palette.size() > 256) {
    throw DataError(fmt::format("cannot write {}: a palette of {} colours, wanted at most 256", name, palette.size()));
  }
  return encode({.pixels = label.labels.data(),
                 .row_bytes = std::size_t(label.width),
                 .height = label.height,
                 .width = label.width,
                 .color_type = palette.empty() ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_PALETTE,
                 .palette = palette},
                name);
}

}  // namespace psanet::data
