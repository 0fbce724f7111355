#include "engine/type.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "engine/error.h"

namespace psanet {

int64_t size_bytes(DType dtype) {
  switch (dtype) {
    case DType::f32:
    case DType::i32:
      return 4;
    case DType::bf16:
      return 2;
    case DType::i64:
      return 8;
    case DType::u8:
      return 1;
  }
  return 0;
}

const char* name(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return "f32";
    case DType::bf16:
      return "bf16";
    case DType::i32:
      return "i32";
    case DType::i64:
      return "i64";
    case DType::u8:
      return "u8";
  }
  return "?";
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
