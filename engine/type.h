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

int64_t elements(const Shape& shape);
std::string to_string(const Shape& shape);

struct Type {
  DType dtype = DType::f32;
  Shape shape;

  int64_t elements() const { return psanet::elements(shape); }
  int64_t bytes() const { return elements() * size_bytes(dtype); }
  int64_t rank() const { return static_cast<int64_t>(shape.size()); }
  /// Size of axis i; negative i counts from the end.
  int64_t operator[](int i) const { return shape[static_cast<size_t>(i < 0 ? i + static_cast<int>(shape.size()) : i)]; }
  bool operator==(const Type&) const = default;
};

/// "f32[2,59,59,512]"
std::string to_string(const Type& type);

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
