#include "layers/dropout2d.h"

#include "engine/random.h"
#include "kernels/dropout.h"
#include "layers/registry.h"
#include "layers/sizes.h"

namespace psanet::layers {

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

namespace {

/// Drops whole channels in training; nothing in evaluation. Reads the input `counter` (i64 [2]: seed, step).
struct Dropout2dWord final : Layer {
  static constexpr const char* kName = "dropout2d";
  double probability = 0.1;

  void fields(Fields& f) override { f("probability", probability, "of dropping a channel; 0 adds nothing"); }
  Value build(const Building& b, const Values& in) const override {
    require(probability >= 0 && probability < 1, "probability {} is not in [0, 1)", probability);
    if (b.mode == Mode::eval || probability == 0) return in[0];
    Value counter = b.graph.find_input("counter");
    if (!counter) counter = b.graph.input("counter", Type{DType::i64, {2}});
    const Type& x = b.graph.type(in[0]);
    require_image(x, "x");
    const auto salt = static_cast<int64_t>(hash_name(b.path));
    const Value factors = b.graph.add(b.path + ".factors", DropoutFactors{x[0], x[3], probability, salt}, {counter});
    return b.graph.add(b.path, ChannelScale{}, {in[0], factors});
  }
};

}  // namespace

void dropout2d_ops(Tables& tables) {
  tables.ops<DropoutFactors, ChannelScale>();
  tables.word<Dropout2dWord>("Drops whole channels in training and scales the others by 1/(1-p).");
}

}  // namespace psanet::layers
