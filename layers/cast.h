// Between f32 and bf16.
#pragma once

#include "engine/autodiff.h"
#include "engine/lowering.h"
#include "engine/op.h"

namespace psanet {
std::span<const char* const> choices(DType);  // here so that Fields finds it by its argument
}

namespace psanet::layers {

/// y = x as `to` stores it (rounded to nearest even). Its gradient is d_y as x is stored; a d_y that is float already,
/// as a convolution's weight gradient is, stays as it is.
struct Cast {
  static constexpr const char* kName = "cast";
  DType to = DType::f32;
  void fields(Fields& f) { f("to", to, "f32 or bf16"); }
  Types infer(const Types& in) const;
  Values grad(Gradient& g) const;
  Launch lower(Lowering& l) const;
};

}  // namespace psanet::layers
