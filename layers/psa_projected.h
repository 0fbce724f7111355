// Point-wise spatial attention together with the 1x1 convolution that its logits come from.
#pragma once

#include "kernels/psa_projected.h"
#include "layers/psa.h"

namespace psanet::layers {

/// psa(value, conv2d(features, weight)) for a 1x1 convolution without bias, of whose result only the part that meets
/// the map is computed. Inputs: value [N,H,W,C], features [N,H,W,F] and weight [K,1,1,F]; outputs: out [N,H,W,C] and,
/// for the gradient, scores and statistics [N,H*W,2].
struct PsaProjected {
  static constexpr const char* kName = "psa_projected";
  Psa psa;

  void fields(Fields& f) { psa.fields(f); }
  Types infer(const Types& in) const;
  Values grad(Gradient& g) const;
  Launch lower(Lowering& l) const;
  double flops(const Types& in, const Types& out) const;
};

}  // namespace psanet::layers
