// Softmax over channels.
#pragma once

#include "layers/bases.h"

namespace psanet::layers {

/// y [...,C]: every row sums to one.
struct Softmax : OneToOne {
  static constexpr const char* kName = "softmax";
  Values grad(Gradient& g) const;
  Launch lower(Lowering& l) const;
};

}  // namespace psanet::layers
