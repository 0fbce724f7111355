#include "data/codec.h"

#include <png.h>

#include <cstdio>
#include <fstream>

#include "data/error.h"
#include "data/file_bytes.h"
#include "tests/data/made_up.h"
#include "tests/support/temporary_folder.h"

using namespace psanet::data;
using namespace psanet::tests;

namespace {

/// A PNG of any kind, straight from libpng: rows hold packed samples.
void write_raw_png(const std::filesystem::path& path, int height, int width, int bit_depth, int color_type,
                   const std::vector<std::vector<std::uint8_t>>& rows, bool interlaced = false) {
  std::FILE* file = std::fopen(path.c_str(), "wb");
  REQUIRE(file != nullptr);
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  png_init_io(png, file);
  png_set_IHDR(png, info, png_uint_32(width), png_uint_32(height), bit_depth, color_type,
               interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
               PNG_FILTER_TYPE_DEFAULT);
  if (color_type == PNG_COLOR_TYPE_PALETTE) {
    png_color colors[16] = {};
    for (int i = 0; i < 16; ++i) colors[i] = {png_byte(200 - i), png_byte(i * 3), png_byte(255 - i * 16)};
    png_set_PLTE(png, info, colors, 1 << std::min(bit_depth, 4));
  }
  png_write_info(png, info);
  std::vector<png_bytep> pointers;
  for (const auto& row : rows) pointers.push_back(const_cast<png_bytep>(row.data()));
  png_write_image(png, pointers.data());
  png_write_end(png, nullptr);
  png_destroy_write_struct(&png, &info);
  std::fclose(file);
}

void truncate_to(const std::filesystem::path& from, const std::filesystem::path& to, double part) {
  auto bytes = read_file_bytes(from);
  bytes.resize(std::size_t(double(bytes.size()) * part));
  write_file_bytes(to, bytes);
}

std::vector<std::uint8_t> text_bytes(const std::string& text) {
  return {text.begin(), text.end()};
}

}  // namespace

TEST_CASE("PNG images survive a round trip exactly and are written deterministically") {
  const TemporaryFolder folder;
  const Image image = made_up_image(37, 53);
  write_png(folder / "a.png", image);
  write_png(folder / "b.png", image);
  const Image back = read_image(folder / "a.png");
  CHECK(back.height == 37);
  CHECK(back.width == 53);
  CHECK(back.pixels == image.pixels);
  CHECK(read_file_bytes(folder / "a.png") == read_file_bytes(folder / "b.png"));
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == 2);  // no temporary files left
}

TEST_CASE("JPEG images come back close, with their size, whatever the file is called") {
  const TemporaryFolder folder;
  Image image(40, 61);
  for (int y = 0; y < 40; ++y) {
    for (int x = 0; x < 61; ++x) image.set(y, x, {std::uint8_t(x * 4), std::uint8_t(y * 6), std::uint8_t(128)});
  }
  write_jpeg(folder / "misnamed.png", image, 95);
  const Image back = read_image(folder / "misnamed.png");
  REQUIRE(back.height == 40);
  REQUIRE(back.width == 61);
  int worst = 0;
  for (std::size_t i = 0; i < back.pixels.size(); ++i)
    worst = std::max(worst, std::abs(back.pixels[i] - image.pixels[i]));
  CHECK(worst <= 16);
}

TEST_CASE("label PNGs give raw values: 8-bit grey, with and without a palette") {
  const TemporaryFolder folder;
  const LabelMap label = made_up_label(23, 31, 7);
  const std::vector<Rgb> palette = {{10, 20, 30}, {200, 0, 0}, {0, 200, 0}};
  write_label_png(folder / "grey.png", label);
  write_label_png(folder / "palette.png", label, palette);
  CHECK(read_label(folder / "grey.png").labels == label.labels);
  CHECK(read_label(folder / "palette.png").labels == label.labels);
  // As an image the palette file shows its colours.
  const Image colors = read_image(folder / "palette.png");
  CHECK(label.at(0, 5) == 1);
  CHECK(colors.at(0, 5)[0] == 200);
}

TEST_CASE("label PNGs of 1, 2 and 4 bits give the stored value, not a scaled one") {
  const TemporaryFolder folder;
  for (const int color_type : {PNG_COLOR_TYPE_GRAY, PNG_COLOR_TYPE_PALETTE}) {
    write_raw_png(folder / "1.png", 1, 8, 1, color_type, {{0b10110010}});
    CHECK(read_label(folder / "1.png").labels == std::vector<std::uint8_t>{1, 0, 1, 1, 0, 0, 1, 0});
    write_raw_png(folder / "2.png", 1, 4, 2, color_type, {{0b11100100}});
    CHECK(read_label(folder / "2.png").labels == std::vector<std::uint8_t>{3, 2, 1, 0});
    write_raw_png(folder / "4.png", 2, 3, 4, color_type, {{0x1F, 0x70}, {0x02, 0x30}}, true);
    CHECK(read_label(folder / "4.png").labels == std::vector<std::uint8_t>{1, 15, 7, 0, 2, 3});
  }
}

TEST_CASE("16-bit grey labels are read while their values fit into 8 bits") {
  const TemporaryFolder folder;
  write_raw_png(folder / "fits.png", 1, 2, 16, PNG_COLOR_TYPE_GRAY, {{0, 9, 0, 255}});
  CHECK(read_label(folder / "fits.png").labels == std::vector<std::uint8_t>{9, 255});
  write_raw_png(folder / "wide.png", 1, 2, 16, PNG_COLOR_TYPE_GRAY, {{0, 9, 1, 4}});
  contains(message_of<DataError>([&] { read_label(folder / "wide.png"); }), "260 at x=1 y=0");
}

TEST_CASE("labels in colour or as JPEG are refused with advice") {
  const TemporaryFolder folder;
  write_png(folder / "rgb.png", made_up_image(4, 4));
  const std::string rgb = message_of<DataError>([&] { read_label(folder / "rgb.png"); });
  contains(rgb, "rgb.png");
  contains(rgb, "RGB");
  contains(rgb, "8-bit grey");
  write_jpeg(folder / "l.jpg", made_up_image(4, 4));
  contains(message_of<DataError>([&] { read_label(folder / "l.jpg"); }), "must be a PNG");
}

TEST_CASE("grey, alpha and 16-bit PNGs become 8-bit RGB images") {
  const TemporaryFolder folder;
  write_raw_png(folder / "grey.png", 1, 2, 8, PNG_COLOR_TYPE_GRAY, {{7, 200}});
  CHECK(read_image(folder / "grey.png").pixels == std::vector<std::uint8_t>{7, 7, 7, 200, 200, 200});
  write_raw_png(folder / "alpha.png", 1, 1, 8, PNG_COLOR_TYPE_RGB_ALPHA, {{1, 2, 3, 0}});
  CHECK(read_image(folder / "alpha.png").pixels == std::vector<std::uint8_t>{1, 2, 3});
  write_raw_png(folder / "deep.png", 1, 1, 16, PNG_COLOR_TYPE_RGB, {{0xFF, 0xFF, 0x80, 0x80, 0, 0}});
  CHECK(read_image(folder / "deep.png").pixels == std::vector<std::uint8_t>{255, 128, 0});
}

TEST_CASE("truncated and damaged JPEG and PNG files are errors that name the file, at every length") {
  const TemporaryFolder folder;
  write_jpeg(folder / "whole.jpg", made_up_image(64, 64), 90);
  write_png(folder / "whole.png", made_up_image(64, 64));
  write_label_png(folder / "label.png", made_up_label(64, 64, 5));
  for (const double part : {0.02, 0.1, 0.3, 0.5, 0.8, 0.95, 0.99}) {
    INFO("kept " << part);
    truncate_to(folder / "whole.jpg", folder / "cut.jpg", part);
    contains(message_of<DataError>([&] { read_image(folder / "cut.jpg"); }), "cut.jpg");
    truncate_to(folder / "whole.png", folder / "cut.png", part);
    contains(message_of<DataError>([&] { read_image(folder / "cut.png"); }), "cut.png");
    truncate_to(folder / "label.png", folder / "cut.png", part);
    CHECK_THROWS_AS(read_label(folder / "cut.png"), DataError);
  }
  auto bytes = read_file_bytes(folder / "whole.png");
  bytes[bytes.size() / 2] ^= 0x55;
  write_file_bytes(folder / "flipped.png", bytes);
  contains(message_of<DataError>([&] { read_image(folder / "flipped.png"); }), "damaged");
}

TEST_CASE("missing, empty and foreign files are errors that say so") {
  const TemporaryFolder folder;
  contains(message_of<DataError>([&] { read_image(folder / "none.jpg"); }), "no such file");
  contains(message_of<DataError>([&] { read_image(folder.path()); }), "not a regular file");
  write_file_text(folder / "empty.png", "");
  contains(message_of<DataError>([&] { read_image(folder / "empty.png"); }), "empty");
  write_file_text(folder / "page.jpg", "<html>404</html>");
  contains(message_of<DataError>([&] { read_image(folder / "page.jpg"); }), "not an image");
}

TEST_CASE("an absurd size in a header is refused before memory is asked for") {
  const TemporaryFolder folder;
  write_png(folder / "small.png", Image(2, 2));
  auto bytes = read_file_bytes(folder / "small.png");
  for (int i = 16; i < 24; ++i) bytes[std::size_t(i)] = i % 4 == 0 ? 0x40 : 0;  // 2^30 x 2^30, checksum to match below
  std::uint32_t crc = 0xFFFFFFFF;
  for (std::size_t i = 12; i < 29; ++i) {
    crc ^= bytes[i];
    for (int k = 0; k < 8; ++k) crc = (crc >> 1) ^ (crc & 1 ? 0xEDB88320 : 0);
  }
  crc = ~crc;
  for (int i = 0; i < 4; ++i) bytes[std::size_t(29 + i)] = std::uint8_t(crc >> (24 - 8 * i));
  write_file_bytes(folder / "huge.png", bytes);
  CHECK_THROWS_AS(read_image(folder / "huge.png"), DataError);
}

TEST_CASE("BMP and PPM are read, cut ones are errors") {
  const TemporaryFolder folder;
  const std::string ppm = "P6\n2 1\n255\n\x01\x02\x03\x0A\x0B\x0C";
  write_file_bytes(folder / "a.ppm", text_bytes(ppm));
  CHECK(read_image(folder / "a.ppm").pixels == std::vector<std::uint8_t>{1, 2, 3, 10, 11, 12});
  write_file_bytes(folder / "b.ppm", text_bytes(ppm.substr(0, ppm.size() - 2)));
  CHECK_THROWS_AS(read_image(folder / "b.ppm"), DataError);

  std::vector<std::uint8_t> bmp(54 + 8, 0);  // 2 x 1, 24 bits, rows padded to 4 bytes
  bmp[0] = 'B', bmp[1] = 'M', bmp[2] = 62, bmp[10] = 54, bmp[14] = 40, bmp[18] = 2, bmp[22] = 1, bmp[26] = 1,
  bmp[28] = 24;
  const std::uint8_t bgr[6] = {3, 2, 1, 12, 11, 10};
  std::copy(bgr, bgr + 6, bmp.begin() + 54);
  write_file_bytes(folder / "a.bmp", bmp);
  CHECK(read_image(folder / "a.bmp").pixels == std::vector<std::uint8_t>{1, 2, 3, 10, 11, 12});
  bmp.resize(57);
  write_file_bytes(folder / "b.bmp", bmp);
  contains(message_of<DataError>([&] { read_image(folder / "b.bmp"); }), "too early");
}

TEST_CASE("a file that cannot be written is an error and leaves nothing") {
  const TemporaryFolder folder;
  contains(message_of<DataError>([&] { write_png(folder / "no" / "such" / "a.png", Image(2, 2)); }), "cannot write");
  CHECK(std::filesystem::is_empty(folder.path()));
  CHECK_THROWS_AS(write_jpeg(folder / "a.jpg", Image(2, 2), 0), DataError);
}
