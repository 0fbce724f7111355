// Two-dimensional convolution and its gradients.
#pragma once

#include "engine/autodiff.h"
#include "engine/lowering.h"
#include "kernels/conv2d.h"

namespace psanet::layers {

/// y [N,OH,OW,OC] = conv(x [N,H,W,IC], weight [OC,kh,kw,IC]) + bias [OC] + residual [N,OH,OW,OC], then ReLU.
/// Inputs: x, weight, then bias and residual if the flags say so. residual and relu are set by passes; they have no
/// gradient.
struct Conv2d {
  static constexpr const char* kName = "conv2d";
  Size2 stride{1, 1}, padding{0, 0}, dilation{1, 1};
  bool bias = false, residual = false, relu = false;

  void fields(Fields& f) {
    f("stride", stride, "step of the window");
    f("padding", padding, "zeros added on each side");
    f("dilation", dilation, "distance between the taps of the window");
    f("bias", bias, "has a bias input");
    f("residual", residual, "adds a residual input (set by passes)");
    f("relu", relu, "ends in a ReLU (set by passes)");
  }
  Types infer(const Types& in) const;
  Values grad(Gradient& g) const;
  Launch lower(Lowering& l) const;
  double flops(const Types& in, const Types&) const { return dims(in).flops(); }
  /// What the kernel is asked for; `in`: the types of the inputs.
  kernels::Conv2dDims dims(const Types& in) const;
};

/// d_x [N,H,W,IC] from d_y [N,OH,OW,OC] and weight.
struct Conv2dBackwardData {
  static constexpr const char* kName = "conv2d_backward_data";
  Conv2d forward;  // without bias, residual and ReLU
  Shape input;     // of x

  void fields(Fields& f) {
    f("input", input, "shape of x");
    forward.fields(f);
  }
  Types infer(const Types& in) const;
  Launch lower(Lowering& l) const;
  double flops(const Types& in, const Types&) const { return dims(in).flops(); }
  /// The forward convolution's; `in`: the types of the inputs.
  kernels::Conv2dDims dims(const Types& in) const { return forward.dims({{in[0].dtype, input}, in[1]}); }
};

/// d_weight [OC,kh,kw,IC] (float) from x and d_y.
struct Conv2dBackwardWeights {
  static constexpr const char* kName = "conv2d_backward_weights";
  Conv2d forward;  // without bias, residual and ReLU
  Shape weight;

  void fields(Fields& f) {
    f("weight", weight, "shape of the weight");
    forward.fields(f);
  }
  Types infer(const Types& in) const;
  Launch lower(Lowering& l) const;
  double flops(const Types& in, const Types&) const { return dims(in).flops(); }
  /// The forward convolution's; `in`: the types of the inputs.
  kernels::Conv2dDims dims(const Types& in) const { return forward.dims({in[0], {in[0].dtype, weight}}); }
};

}  // namespace psanet::layers
