#include "layers/dropout2d.h"

#include "kernels/dropout.h"
#include "layers/sizes.h"

namespace psanet::layers {

void DropoutFactors::fields(Fields& f) {
  f("batch", batch, "images");
  f("channels", channels, "channels of each");
  f("probability", probability, "of dropping a channel");
  f("salt", salt, "tells the dropouts of a network apart");
  f("first_image", first_image, "where this batch begins in a larger one (set by passes)");
}

Types DropoutFactors::infer(const Types& in) const {
  require_inputs(in, 1);
  require(in[0] == Type{DType::i64, {2}}, "the counter is {}, want i64[2]", to_string(in[0]));
  require(probability >= 0 && probability < 1, "probability {} is not in [0, 1)", probability);
  require_size({batch, channels}, "a side of [batch, channels]");
  return {f32({batch, channels})};
}

Launch DropoutFactors::lower(Lowering& l) const {
  const kernels::DropoutDims dims{batch, 1, channels, probability, first_image};
  const auto key = static_cast<uint64_t>(salt);
  return l.launch([=](auto& ctx, const Buffers& b) {
    kernels::dropout_factors(ctx, dims, key, b.template in<int64_t>(0), b.out(0));
  });
}

Types ChannelScale::infer(const Types& in) const {
  require_inputs(in, 2);
  require_image(in[0], "x");
  require_same(in[1], f32({in[0][0], in[0][3]}), "the factors and [N,C]");
  return {in[0]};
}

Launch ChannelScale::lower(Lowering& l) const {
  const Type& x = l.in(0);
  const kernels::DropoutDims dims{x[0], x[1] * x[2], x[3], 0};
  return l.launch_as(x.dtype, [=]<class T>(auto& ctx, const Buffers& b) {
    kernels::channel_scale(ctx, dims, b.in<T>(0), b.in(1), b.out<T>(0));
  });
}

}  // namespace psanet::layers
