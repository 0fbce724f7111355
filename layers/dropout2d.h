// Dropout of whole channels.
#pragma once

#include "engine/autodiff.h"
#include "engine/lowering.h"

namespace psanet::layers {

/// factor [N,C] = 0 or 1/(1-p), a function of the counter (i64 [2]: seed, step) and the salt alone.
struct DropoutFactors {
  static constexpr const char* kName = "dropout_factors";
  int64_t batch = 1, channels = 1;
  double probability = 0.1;
  int64_t salt = 0;         // tells the dropouts of a network apart
  int64_t first_image = 0;  // of a larger batch that this one is part of (set by data_parallel)
  void fields(Fields& f) {
    f("batch", batch, "images");
    f("channels", channels, "channels of each");
    f("probability", probability, "of dropping a channel");
    f("salt", salt, "tells the dropouts of a network apart");
    f("first_image", first_image, "where this batch begins in a larger one (set by passes)");
  }
  Types infer(const Types& in) const;
  Launch lower(Lowering& l) const;
};

/// y [N,H,W,C] = x * factor [N,C]; differentiable in x only.
struct ChannelScale {
  static constexpr const char* kName = "channel_scale";
  void fields(Fields&) {}
  Types infer(const Types& in) const;
  Values grad(Gradient& g) const { return {g.add("d_x", ChannelScale{}, {g.d_out(0), g.in(1)}), {}}; }
  Launch lower(Lowering& l) const;
  std::vector<Sharing> shares() const { return {{0, 0}}; }
};

}  // namespace psanet::layers
