// JPEG through libjpeg(-turbo). The library reports errors by a callback that must not return: a longjmp into the
// function that called it, which therefore owns nothing with a destructor.
#include <fmt/format.h>
#include <jpeglib.h>  // needs <cstdio> first

#include <csetjmp>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "data/error.h"
#include "data/image_formats.h"

namespace psanet::data {
namespace {

struct Failure {
  jpeg_error_mgr manager{};  // first: libjpeg hands back a pointer to it
  std::jmp_buf jump{};
  char message[JMSG_LENGTH_MAX] = {};
};

[[noreturn]] void on_error(j_common_ptr info) {
  auto* failure = reinterpret_cast<Failure*>(info->err);
  failure->manager.format_message(info, failure->message);
  std::longjmp(failure->jump, 1);
}

/// libjpeg fills what is missing with grey and goes on with a warning; for training data that is an error. The
/// exception is a few stray bytes before the end marker, which some cameras write and which cost no pixel.
void on_message(j_common_ptr info, int level) {
  if (level >= 0) return;
  auto* failure = reinterpret_cast<Failure*>(info->err);
  failure->manager.format_message(info, failure->message);
  const bool stray_bytes = std::strstr(failure->message, "extraneous bytes before marker") != nullptr &&
                           failure->manager.msg_parm.i[0] <= 16 && failure->manager.msg_parm.i[1] == JPEG_EOI;
  if (!stray_bytes) std::longjmp(failure->jump, 1);
}

jpeg_error_mgr* install(Failure& failure) {
  jpeg_error_mgr* manager = jpeg_std_error(&failure.manager);
  manager->error_exit = on_error;
  manager->emit_message = on_message;
  return manager;
}

/// Ink to light. Adobe files store CMYK inverted (255 = no ink), and no others are in use.
void cmyk_to_rgb(const std::uint8_t* cmyk, std::uint8_t* rgb, std::size_t pixels) {
  for (std::size_t i = 0; i < pixels; ++i) {
    for (int c = 0; c < 3; ++c)
      rgb[i * 3 + std::size_t(c)] = std::uint8_t((cmyk[i * 4 + std::size_t(c)] * cmyk[i * 4 + 3] + 127) / 255);
  }
}

/// Reads the header; false with failure.message on error. The sizes are checked by the caller, outside the longjmp's
/// reach.
bool read_header(jpeg_decompress_struct& jpeg, Failure& failure, Bytes bytes) {
  if (setjmp(failure.jump)) return false;
  jpeg_create_decompress(&jpeg);
  jpeg_mem_src(&jpeg, bytes.data(), static_cast<unsigned long>(bytes.size()));
  jpeg_read_header(&jpeg, TRUE);
  return true;
}

bool read_pixels(jpeg_decompress_struct& jpeg, Failure& failure, std::uint8_t* pixels, std::uint8_t* cmyk_row) {
  if (setjmp(failure.jump)) return false;
  const bool cmyk = jpeg.jpeg_color_space == JCS_CMYK || jpeg.jpeg_color_space == JCS_YCCK;
  jpeg.out_color_space = cmyk ? JCS_CMYK : JCS_RGB;
  jpeg.dct_method = JDCT_ISLOW;  // the exact integer transform: the same pixels on every machine
  jpeg_start_decompress(&jpeg);
  const std::size_t stride = std::size_t(jpeg.output_width) * 3;
  while (jpeg.output_scanline < jpeg.output_height) {
    std::uint8_t* row = pixels + stride * jpeg.output_scanline;
    JSAMPROW target = cmyk ? cmyk_row : row;
    jpeg_read_scanlines(&jpeg, &target, 1);
    if (cmyk) cmyk_to_rgb(cmyk_row, row, jpeg.output_width);
  }
  jpeg_finish_decompress(&jpeg);
  return true;
}

struct DecompressGuard {
  jpeg_decompress_struct* jpeg;
  ~DecompressGuard() { jpeg_destroy_decompress(jpeg); }
};

struct Encoded {
  unsigned char* data = nullptr;
  unsigned long size = 0;
  ~Encoded() { std::free(data); }
};

bool write_pixels(jpeg_compress_struct& jpeg, Failure& failure, Encoded& encoded, const Image& image, int quality) {
  if (setjmp(failure.jump)) return false;
  jpeg_create_compress(&jpeg);
  jpeg_mem_dest(&jpeg, &encoded.data, &encoded.size);
  jpeg.image_width = JDIMENSION(image.width);
  jpeg.image_height = JDIMENSION(image.height);
  jpeg.input_components = 3;
  jpeg.in_color_space = JCS_RGB;
  jpeg_set_defaults(&jpeg);
  jpeg_set_quality(&jpeg, quality, TRUE);
  jpeg.dct_method = JDCT_ISLOW;
  jpeg_start_compress(&jpeg, TRUE);
  while (jpeg.next_scanline < jpeg.image_height) {
    JSAMPROW row = const_cast<JSAMPROW>(image.at(int(jpeg.next_scanline), 0));
    jpeg_write_scanlines(&jpeg, &row, 1);
  }
  jpeg_finish_compress(&jpeg);
  return true;
}

}  // namespace

Image decode_jpeg(Bytes bytes, const std::string& name) {
  Failure failure;
  jpeg_decompress_struct jpeg{};
  jpeg.err = install(failure);
  const DecompressGuard guard{&jpeg};
  const auto damaged = [&] {
    return DataError(
        fmt::format("{}: the JPEG is truncated or damaged ({}); copy or download it again", name, failure.message));
  };
  if (!read_header(jpeg, failure, bytes)) throw damaged();
  check_size(long(jpeg.image_height), long(jpeg.image_width), name);
  Image image(int(jpeg.image_height), int(jpeg.image_width));
  std::vector<std::uint8_t> cmyk_row(std::size_t(jpeg.image_width) * 4);
  if (!read_pixels(jpeg, failure, image.pixels.data(), cmyk_row.data())) throw damaged();
  return image;
}

std::vector<std::uint8_t> encode_jpeg(const Image& image, int quality, const std::string& name) {
  check_size(image.height, image.width, name);
  if (quality < 1 || quality > 100) {
    throw DataError(fmt::format("cannot write {}: JPEG quality {} is not in 1..100", name, quality));
  }
  Failure failure;
  Encoded encoded;
  jpeg_compress_struct jpeg{};
  jpeg.err = install(failure);
  const bool good = write_pixels(jpeg, failure, encoded, image, quality);
  jpeg_destroy_compress(&jpeg);
  if (!good) throw DataError(fmt::format("cannot write {}: JPEG encoding failed ({})", name, failure.message));
  return {encoded.data, encoded.data + encoded.size};
}

}  // namespace psanet::data
