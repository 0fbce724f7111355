// BMP, GIF, PPM/PGM and TGA through stb_image.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "data/error.h"
#include "data/image_formats.h"

#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_ONLY_BMP
#define STBI_ONLY_GIF
#define STBI_ONLY_PNM
#define STBI_ONLY_TGA
#define STBI_NO_STDIO
#define STBI_NO_LINEAR
#define STBI_NO_HDR
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wunused-but-set-variable"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wpedantic"
#pragma GCC diagnostic ignored "-Wextra"
#pragma GCC diagnostic ignored "-Wstringop-overflow"
#include <stb_image.h>
#pragma GCC diagnostic pop

namespace psanet::data {
namespace {

/// stb_image takes a file that ends too early for one that goes on with zeros; so the source watches for reads past the
/// end. Its look-ahead buffer asks for kLookAhead bytes whether it needs them or not; such a read may come up short.
struct Source {
  static constexpr int kLookAhead = 128;
  Bytes bytes;
  std::size_t position = 0;
  bool past_end = false;

  static int read(void* user, char* out, int size) {
    auto& self = *static_cast<Source*>(user);
    const std::size_t count = std::min(std::size_t(size), self.bytes.size() - self.position);
    if (count == 0 || (count < std::size_t(size) && size != kLookAhead)) self.past_end = true;
    if (count > 0) std::memcpy(out, self.bytes.data() + self.position, count);
    self.position += count;
    return int(count);
  }
  static void skip(void* user, int count) {  // negative: gives bytes back
    auto& self = *static_cast<Source*>(user);
    const auto target = std::ptrdiff_t(self.position) + count;
    if (target < 0 || target > std::ptrdiff_t(self.bytes.size())) self.past_end = true;
    self.position = std::size_t(std::clamp<std::ptrdiff_t>(target, 0, std::ptrdiff_t(self.bytes.size())));
  }
  static int at_end(void* user) {
    const auto& self = *static_cast<Source*>(user);
    return self.position >= self.bytes.size();
  }
};

constexpr stbi_io_callbacks kCallbacks{&Source::read, &Source::skip, &Source::at_end};

}  // namespace

Image decode_rare(Bytes bytes, const std::string& name, const char* format) {
  int width = 0, height = 0, channels = 0;
  Source probe{bytes};
  if (!stbi_info_from_callbacks(&kCallbacks, &probe, &width, &height, &channels)) {
    throw DataError(
        fmt::format("{}: not a {} that can be read ({}); convert it to PNG", name, format, stbi_failure_reason()));
  }
  check_size(height, width, name);
  Source source{bytes};
  const std::unique_ptr<stbi_uc, void (*)(void*)> pixels(
      stbi_load_from_callbacks(&kCallbacks, &source, &width, &height, &channels, 3), &stbi_image_free);
  if (!pixels || source.past_end) {
    throw DataError(fmt::format("{}: the {} is truncated or damaged ({}); copy it again or convert it to PNG", name,
                                format, pixels ? "it ends too early" : stbi_failure_reason()));
  }
  Image image(height, width);
  std::memcpy(image.pixels.data(), pixels.get(), image.pixels.size());
  return image;
}

}  // namespace psanet::data
