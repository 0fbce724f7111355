// ReLU.
#pragma once

#include "engine/autodiff.h"
#include "engine/lowering.h"
#include "engine/op.h"

namespace psanet::layers {

/// y = max(x, 0), any shape.
struct Relu {
  static constexpr const char* kName = "relu";
  void fields(Fields&) {}
  Types infer(const Types& in) const;
  Values grad(Gradient& g) const;
  Launch lower(Lowering& l) const;
  std::vector<Sharing> shares() const { return {{0, 0}}; }
};

/// d_x = d_y where y > 0, else 0; inputs y, d_y.
struct ReluBackward {
  static constexpr const char* kName = "relu_backward";
  void fields(Fields&) {}
  Types infer(const Types& in) const;
  Launch lower(Lowering& l) const;
  std::vector<Sharing> shares() const { return {{0, 1}}; }
};

}  // namespace psanet::layers
