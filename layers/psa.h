// Point-wise spatial attention (SPEC 1).
#pragma once

#include "engine/autodiff.h"
#include "engine/lowering.h"
#include "engine/op.h"
#include "kernels/psa.h"

namespace psanet::kernels {
std::span<const char* const> choices(PsaMode);  // here so that Fields finds it by its argument
}

namespace psanet::layers {

using kernels::PsaMode;

/// out [N,H,W,C] = scale * sum over sources of softmax(logits) * value, and, for the gradient, statistics [N,H*W,2].
/// Inputs: value [N,H,W,C] and logits [N,H,W,mask_h*mask_w], a score for every relative offset (or, compact,
/// [N,H,W,H*W]).
struct Psa {
  static constexpr const char* kName = "psa";
  PsaMode mode = PsaMode::collect;
  int64_t mask_h = 0, mask_w = 0;  // unused when compact
  bool compact = false, softmax = true;
  double scale = 1;  // 1 / normalization_factor

  void fields(Fields& f) {
    f("mode", mode,
      "collect: the target's logits weigh the sources; distribute: the source's logits weigh the targets");
    f("mask_h", mask_h, "rows of the over-complete map");
    f("mask_w", mask_w, "columns of the over-complete map");
    f("compact", compact, "one logit an absolute position instead of a relative offset");
    f("softmax", softmax, "softmax over the sources; else the raw logits are the weights");
    f("scale", scale, "multiplies the result: 1 / normalization factor");
  }
  Types infer(const Types& in) const;
  Values grad(Gradient& g) const;
  Launch lower(Lowering& l) const;
  double flops(const Types& in, const Types& out) const;
  std::vector<int> skippable() const { return {1}; }
};

/// What kernels are told of the op on such a value.
kernels::PsaDims dims_of(const Psa& op, const Type& value);

}  // namespace psanet::layers
