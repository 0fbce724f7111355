// The gradient of a bias: a sum over everything but channels.
#pragma once

#include "engine/lowering.h"
#include "engine/op.h"

namespace psanet::layers {

/// d_bias [C] = sum over rows of d_y [...,C].
struct BiasBackward {
  static constexpr const char* kName = "bias_backward";
  void fields(Fields&) {}
  Types infer(const Types& in) const;
  Launch lower(Lowering& l) const;
};

}  // namespace psanet::layers
