// bfloat16: the upper half of a float. Storage only; arithmetic is done in float.
#pragma once

#include <bit>
#include <cstdint>

namespace psanet::kernels {

struct bf16 {
  uint16_t bits;
};

/// What activations are stored as.
enum class Scalar : uint8_t { f32, bf16 };

inline int64_t size_bytes(Scalar scalar) {
  return scalar == Scalar::f32 ? 4 : 2;
}

template <class T>
inline constexpr Scalar kScalar = Scalar::f32;
template <>
inline constexpr Scalar kScalar<bf16> = Scalar::bf16;

inline float to_float(bf16 x) {
  return std::bit_cast<float>(static_cast<uint32_t>(x.bits) << 16);
}
inline float to_float(float x) {
  return x;
}

/// Round to nearest, ties to even, as the hardware does; NaN stays NaN.
inline bf16 to_bf16(float x) {
  const auto bits = std::bit_cast<uint32_t>(x);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return {0x7fff};
  return {static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16)};
}

}  // namespace psanet::kernels
