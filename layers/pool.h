// Max pooling; average and adaptive average pooling are in pool.cpp alone.
#pragma once

#include "engine/autodiff.h"
#include "engine/lowering.h"

namespace psanet::layers {

/// y [N,OH,OW,C] and, for the gradient, the place of each maximum in its window; padding counts as -infinity.
struct MaxPool {
  static constexpr const char* kName = "max_pool";
  Size2 kernel{3, 3}, stride{2, 2}, padding{1, 1};
  void fields(Fields& f) {
    f("kernel", kernel, "size of the window");
    f("stride", stride, "step of the window");
    f("padding", padding, "border on each side");
  }
  Types infer(const Types& in) const;
  Values grad(Gradient& g) const;
  Launch lower(Lowering& l) const;
  std::vector<int> skippable() const { return {1}; }
};

}  // namespace psanet::layers
