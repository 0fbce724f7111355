// Two-dimensional convolution and its gradients.
#pragma once

#include "engine/autodiff.h"
#include "engine/lowering.h"
#include "engine/op.h"
#include "kernels/conv2d.h"

namespace psanet::layers {

/// y [N,OH,OW,OC] = conv(x [N,H,W,IC], weight [OC,kh,kw,IC]) + bias [OC] + residual [N,OH,OW,OC], then ReLU.
/// Inputs: x, weight, then bias and residual if the flags say so. residual and relu are set by passes; they have no
/// gradient.
struct Conv2d {
  static constexpr const char* kName = "conv2d";
  Size2 stride{1, 1}, padding{0, 0}, dilation{1, 1};
  bool bias = false, residual = false, relu = false;

  void fields(Fields& f);
  Types infer(const Types& in) const;
  Values grad(Gradient& g) const;
  Launch lower(Lowering& l) const;
  double flops(const Types& in, const Types& out) const;
  /// What the kernel is asked for; `in`: the types of the inputs.
  kernels::Conv2dDims dims(const Types& in) const;
};

/// d_x [N,H,W,IC] from d_y [N,OH,OW,OC] and weight.
struct Conv2dBackwardData {
  static constexpr const char* kName = "conv2d_backward_data";
  Size2 input{1, 1}, stride{1, 1}, padding{0, 0}, dilation{1, 1};

  void fields(Fields& f);
  Types infer(const Types& in) const;
  Launch lower(Lowering& l) const;
  double flops(const Types& in, const Types& out) const;
  /// What the kernel is asked for; `in`: the types of the inputs.
  kernels::Conv2dDims dims(const Types& in) const;
};

/// d_weight [OC,kh,kw,IC] from x and d_y.
struct Conv2dBackwardWeights {
  static constexpr const char* kName = "conv2d_backward_weights";
  Size2 kernel{1, 1}, stride{1, 1}, padding{0, 0}, dilation{1, 1};

  void fields(Fields& f);
  Types infer(const Types& in) const;
  Launch lower(Lowering& l) const;
  double flops(const Types& in, const Types& out) const;
  /// What the kernel is asked for; `in`: the types of the inputs.
  kernels::Conv2dDims dims(const Types& in) const;
};

}  // namespace psanet::layers
