// The optimiser, as one op over all parameters.
#pragma once

#include "engine/lowering.h"
#include "engine/op.h"

namespace psanet::layers {

/// v = momentum * v + g + weight_decay * w;  w -= rate * rate_factor * v  (SPEC 5).
/// Inputs: rate [1], with the flag the loss [1], then parameter, momentum buffer and gradient of each tensor in turn,
/// then the bf16 copies of the tensors that are `copied`. No outputs: it updates in place. The copies are also made
/// whenever parameters change from outside.
struct Sgd {
  static constexpr const char* kName = "sgd";
  double momentum = 0.9;
  std::vector<double> rate_factor;   // of each tensor: 1 for the backbone, 10 for the rest
  std::vector<double> weight_decay;  // of each tensor
  std::vector<int64_t> copied;       // numbers of the tensors with a bf16 copy
  bool guarded = false;              // a step whose loss is NaN or infinite changes nothing
  /// The input that is the first tensor's parameter.
  size_t first_tensor() const { return guarded ? 2 : 1; }
  void fields(Fields& f) {
    f("momentum", momentum, "share of the last step that is kept");
    f("rate_factor", rate_factor, "of each tensor: factor on the learning rate");
    f("weight_decay", weight_decay, "of each tensor");
    f("copied", copied, "numbers of the tensors whose bf16 copy is kept up to date");
    f("guarded", guarded, "the second input is the loss; nothing changes where it is not finite");
  }
  Types infer(const Types& in) const;
  Launch lower(Lowering& l) const;
  std::vector<int> mutates(size_t inputs) const;
};

}  // namespace psanet::layers
