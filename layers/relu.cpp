#include "layers/relu.h"

#include "layers/pointwise.h"
#include "layers/registry.h"

namespace psanet::layers {

namespace {

/// d_x = d_y where y > 0, else 0.
struct ReluBackward : BackwardFromResult {
  static constexpr const char* kName = "relu_backward";
  Launch lower(Lowering& l) const { return pointwise(l, kernels::ReluGradient{}); }
};

}  // namespace

Values Relu::grad(Gradient& g) const {
  return {g.add("d_x", ReluBackward{}, {g.out(0), g.d_out(0)})};
}

Launch Relu::lower(Lowering& l) const {
  return pointwise(l, kernels::Relu{});
}

void relu_ops(Tables& tables) {
  tables.ops<Relu, ReluBackward>();
  tables.word<Relu>("max(x, 0).");
}

}  // namespace psanet::layers
