#include "engine/type.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "engine/error.h"

namespace psanet {

namespace {
struct Facts {
  const char* name;
  int64_t bytes;
};
/// In the enum's order.
constexpr Facts kFacts[] = {{"f32", 4}, {"bf16", 2}, {"i32", 4}, {"i64", 8}, {"u8", 1}};
}  // namespace

int64_t size_bytes(DType dtype) {
  return kFacts[static_cast<size_t>(dtype)].bytes;
}
const char* name(DType dtype) {
  return kFacts[static_cast<size_t>(dtype)].name;
}

int64_t elements(const Shape& shape) {
  int64_t count = 1;
  for (int64_t size : shape) {
    if (size < 0) throw ConfigError(fmt::format("{} has a negative size", to_string(shape)));
    if (__builtin_mul_overflow(count, size, &count)) {
      throw ConfigError(fmt::format("{} has more than 2^63-1 elements", to_string(shape)));
    }
  }
  return count;
}

int64_t Type::bytes() const {
  int64_t bytes = 0;
  if (__builtin_mul_overflow(elements(), size_bytes(dtype), &bytes)) {
    throw ConfigError(fmt::format("{} has more than 2^63-1 bytes", to_string(*this)));
  }
  return bytes;
}

void check_size(const Type& type, const std::string& what) try {
  if (type.bytes() > kMostTensorBytes) {
    throw ConfigError(
        fmt::format("{} has {} bytes, want at most {} (4 TiB)", to_string(type), type.bytes(), kMostTensorBytes));
  }
} catch (const ConfigError& e) {
  throw ConfigError(fmt::format("{}: {}", what, e.what()));
}

std::string to_string(const Shape& shape) {
  return fmt::format("[{}]", fmt::join(shape, ","));
}

std::string to_string(const Type& type) {
  return name(type.dtype) + to_string(type.shape);
}

}  // namespace psanet
