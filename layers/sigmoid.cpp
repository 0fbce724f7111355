// The logistic function.
#include "layers/bases.h"
#include "layers/pointwise.h"
#include "layers/registry.h"

namespace psanet::layers {

namespace {

/// d_x = d_y * y * (1 - y).
struct SigmoidBackward : BackwardFromResult {
  static constexpr const char* kName = "sigmoid_backward";
  Launch lower(Lowering& l) const { return pointwise(l, kernels::SigmoidGradient{}); }
};

/// y = 1 / (1 + exp(-x)), any shape.
struct Sigmoid : OneToOne {
  static constexpr const char* kName = "sigmoid";
  Values grad(Gradient& g) const { return {g.add("d_x", SigmoidBackward{}, {g.out(0), g.d_out(0)})}; }
  Launch lower(Lowering& l) const { return pointwise(l, kernels::Sigmoid{}); }
};

}  // namespace

void sigmoid_ops(Tables& tables) {
  tables.ops<Sigmoid, SigmoidBackward>();
  tables.word<Sigmoid>("1 / (1 + exp(-x)).");
}

}  // namespace psanet::layers
