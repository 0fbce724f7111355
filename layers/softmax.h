// Softmax over channels.
#pragma once

#include "engine/autodiff.h"
#include "engine/lowering.h"
#include "engine/op.h"

namespace psanet::layers {

/// y [...,C]: every row sums to one.
struct Softmax {
  static constexpr const char* kName = "softmax";
  void fields(Fields&) {}
  Types infer(const Types& in) const;
  Values grad(Gradient& g) const;
  Launch lower(Lowering& l) const;
  std::vector<Sharing> shares() const { return {{0, 0}}; }
};

/// d_x from y and d_y.
struct SoftmaxBackward {
  static constexpr const char* kName = "softmax_backward";
  void fields(Fields&) {}
  Types infer(const Types& in) const;
  Launch lower(Lowering& l) const;
  std::vector<Sharing> shares() const { return {{0, 1}}; }
};

}  // namespace psanet::layers
