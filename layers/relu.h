// ReLU.
#pragma once

#include "layers/bases.h"

namespace psanet::layers {

/// y = max(x, 0), any shape.
struct Relu : OneToOne {
  static constexpr const char* kName = "relu";
  Values grad(Gradient& g) const;
  Launch lower(Lowering& l) const;
};

}  // namespace psanet::layers
