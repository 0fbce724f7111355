// Max, average and adaptive average pooling.
#pragma once

#include "engine/autodiff.h"
#include "engine/lowering.h"
#include "engine/op.h"

namespace psanet::layers {

/// y [N,OH,OW,C] and, for the gradient, the place of each maximum in its window; padding counts as -infinity.
struct MaxPool {
  static constexpr const char* kName = "max_pool";
  Size2 kernel{3, 3}, stride{2, 2}, padding{1, 1};
  void fields(Fields& f);
  Types infer(const Types& in) const;
  Values grad(Gradient& g) const;
  Launch lower(Lowering& l) const;
  std::vector<int> skippable() const { return {1}; }
};

/// d_x from the places of the maxima and d_y.
struct MaxPoolBackward {
  static constexpr const char* kName = "max_pool_backward";
  Size2 input{1, 1}, kernel{3, 3}, stride{2, 2}, padding{1, 1};
  void fields(Fields& f);
  Types infer(const Types& in) const;
  Launch lower(Lowering& l) const;
};

/// Mean of each window.
struct AveragePool {
  static constexpr const char* kName = "average_pool";
  Size2 kernel{2, 2}, stride{2, 2}, padding{0, 0};
  bool count_padding = true;
  void fields(Fields& f);
  Types infer(const Types& in) const;
  Values grad(Gradient& g) const;
  Launch lower(Lowering& l) const;
};

struct AveragePoolBackward {
  static constexpr const char* kName = "average_pool_backward";
  Size2 input{1, 1}, kernel{2, 2}, stride{2, 2}, padding{0, 0};
  bool count_padding = true;
  void fields(Fields& f);
  Types infer(const Types& in) const;
  Launch lower(Lowering& l) const;
};

/// `size` windows an axis; window i covers floor(i*H/size) .. ceil((i+1)*H/size)-1.
struct AdaptiveAveragePool {
  static constexpr const char* kName = "adaptive_average_pool";
  Size2 size{1, 1};
  void fields(Fields& f) { f("size", size, "size of the result"); }
  Types infer(const Types& in) const;
  Values grad(Gradient& g) const;
  Launch lower(Lowering& l) const;
};

struct AdaptiveAveragePoolBackward {
  static constexpr const char* kName = "adaptive_average_pool_backward";
  Size2 input{1, 1};
  void fields(Fields& f) { f("input", input, "size of x"); }
  Types infer(const Types& in) const;
  Launch lower(Lowering& l) const;
};

}  // namespace psanet::layers
