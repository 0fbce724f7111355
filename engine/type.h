// What is known of a tensor before it exists.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/bf16.h"

namespace psanet {

enum class DType : uint8_t { f32, bf16, i32, i64, u8 };

int64_t size_bytes(DType dtype);
const char* name(DType dtype);

template <class T>
inline constexpr DType kDType = DType::f32;
template <>
inline constexpr DType kDType<kernels::bf16> = DType::bf16;
template <>
inline constexpr DType kDType<int32_t> = DType::i32;
template <>
inline constexpr DType kDType<int64_t> = DType::i64;
template <>
inline constexpr DType kDType<uint8_t> = DType::u8;

/// Sizes, outermost first; images are [N,H,W,C]. A scalar is [1].
using Shape = std::vector<int64_t>;

/// The product of the sizes. Throws ConfigError for a negative size and for more than 2^63-1 elements.
int64_t elements(const Shape& shape);
std::string to_string(const Shape& shape);

struct Type {
  DType dtype = DType::f32;
  Shape shape;

  int64_t elements() const { return psanet::elements(shape); }
  /// Throws ConfigError as elements(), and for more than 2^63-1 bytes.
  int64_t bytes() const;
  int64_t rank() const { return static_cast<int64_t>(shape.size()); }
  /// Size of axis i; negative i counts from the end.
  int64_t operator[](int i) const { return shape[static_cast<size_t>(i < 0 ? i + static_cast<int>(shape.size()) : i)]; }
  bool operator==(const Type&) const = default;
};

/// "f32[2,59,59,512]"
std::string to_string(const Type& type);

/// The largest tensor that a graph may have: more than any device holds, and little enough that the sizes of all
/// tensors of a graph can be added in 64 bits.
inline constexpr int64_t kMostTensorBytes = int64_t{1} << 42;

/// Throws ConfigError, which begins with `what`, for a negative size and for more than kMostTensorBytes.
void check_size(const Type& type, const std::string& what);

/// Activations are stored as either.
inline bool is_float(DType dtype) {
  return dtype == DType::f32 || dtype == DType::bf16;
}
/// The kernels' name of a type for which is_float() holds.
inline kernels::Scalar scalar_of(DType dtype) {
  return dtype == DType::bf16 ? kernels::Scalar::bf16 : kernels::Scalar::f32;
}

inline Type f32(Shape shape) {
  return {DType::f32, std::move(shape)};
}

}  // namespace psanet
