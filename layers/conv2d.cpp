#include "layers/conv2d.h"

#include <cmath>

#include "kernels/elementwise.h"
#include "layers/registry.h"
#include "layers/sizes.h"

namespace psanet::layers {

enum class ConvInit { fan_in_uniform, fan_out_normal };
std::span<const char* const> choices(ConvInit) {
  static constexpr const char* kNames[] = {"fan_in_uniform", "fan_out_normal"};
  return kNames;
}

namespace {

/// d_bias [C] = sum over rows of d_y [...,C].
struct BiasBackward {
  static constexpr const char* kName = "bias_backward";
  void fields(Fields&) {}
  Types infer(const Types& in) const {
    require_inputs(in, 1);
    return {f32({in[0][-1]})};
  }
  Launch lower(Lowering& l) const {
    const kernels::BiasDims dims{rows(l.in(0)), l.in(0)[-1]};
    return l.launch_as(l.in(0).dtype, [=]<class T>(auto& ctx, const Buffers& b) {
      kernels::bias_backward(ctx, dims, b.in<T>(0), b.out(0));
    });
  }
};

/// Convolution with its parameters `weight` and, with bias, `bias`.
struct Conv2dWord final : Layer {
  static constexpr const char* kName = "conv2d";
  int64_t out_channels = 0;
  Size2 kernel{1, 1}, stride{1, 1}, padding{0, 0}, dilation{1, 1};
  bool bias = false;
  ConvInit init = ConvInit::fan_in_uniform;

  void fields(Fields& f) override {
    f("out_channels", out_channels, "number of filters");
    f("kernel", kernel, "size of the window");
    f("stride", stride, "step of the window");
    f("padding", padding, "zeros added on each side");
    f("dilation", dilation, "distance between the taps of the window");
    f("bias", bias, "adds a trained bias");
    f("init", init, "start of the weights: PyTorch's default (uniform, 1/sqrt(fan_in)) or Kaiming normal over fan_out");
  }
  Value build(const Building& b, const Values& in) const override {
    const Type& x = b.graph.type(in[0]);
    require_image(x, "x");
    require(out_channels > 0, "out_channels {} must be at least 1", out_channels);
    require_size({out_channels, out_channels}, "out_channels");
    require_size(kernel, "kernel");
    const auto window = static_cast<double>(kernel.h * kernel.w);
    const double bound = 1 / std::sqrt(window * static_cast<double>(x[3]));
    const double deviation = std::sqrt(2 / (window * static_cast<double>(out_channels)));
    const Value weight = b.graph.parameter(
        b.path + ".weight", f32({out_channels, kernel.h, kernel.w, x[3]}),
        init == ConvInit::fan_in_uniform ? Initializer::uniform(bound) : Initializer::normal(deviation),
        FileLayout::conv_weight);
    Values inputs = {in[0], weight};
    if (bias) inputs.push_back(b.graph.parameter(b.path + ".bias", f32({out_channels}), Initializer::uniform(bound)));
    return b.graph.add(b.path, Conv2d{stride, padding, dilation, bias, false, false}, inputs);
  }
};

void check(const kernels::Conv2dDims& d) {
  require(d.kernel_h > 0 && d.kernel_w > 0 && d.stride_h > 0 && d.stride_w > 0 && d.dilation_h > 0 && d.dilation_w > 0,
          "kernel, stride and dilation must be at least 1");
  require(d.pad_h >= 0 && d.pad_w >= 0, "padding must be at least 0");
  require(d.in_h + 2 * d.pad_h >= d.dilation_h * (d.kernel_h - 1) + 1 &&
              d.in_w + 2 * d.pad_w >= d.dilation_w * (d.kernel_w - 1) + 1,
          "the kernel ({}x{}, dilation {}x{}) is larger than the padded input ({}x{})", d.kernel_h, d.kernel_w,
          d.dilation_h, d.dilation_w, d.in_h + 2 * d.pad_h, d.in_w + 2 * d.pad_w);
}

}  // namespace

Types Conv2d::infer(const Types& in) const {
  require_inputs(in, 2u + (bias ? 1 : 0) + (residual ? 1 : 0));
  require_image(in[0], "x");
  require_rank(in[1], 4, "weight");
  require(in[0][3] == in[1][3], "x has {} channels, the weight wants {}", in[0][3], in[1][3]);
  require_bounded({in[1][1], in[1][2]}, 1, "kernel");
  require_bounded(stride, 1, "stride");
  require_bounded(padding, 0, "padding");
  require_bounded(dilation, 1, "dilation");
  const auto d = dims(in);
  check(d);
  require(in[0].dtype == in[1].dtype, "x is {}, the weight {}", name(in[0].dtype), name(in[1].dtype));
  const Type out{in[0].dtype, {d.batch, d.out_h(), d.out_w(), d.out_channels}};
  if (bias) require_channels(in[2], d.out_channels, "bias");
  if (residual) require_same(in.back(), out, "residual and result");
  return {out};
}

Values Conv2d::grad(Gradient& g) const {
  require(!relu && !residual, "a fused convolution has no gradient: fuse after differentiating");
  const Value x = g.in(0), w = g.in(1), d_y = g.d_out(0);
  const Conv2d plain{stride, padding, dilation};
  Value d_x, d_w, d_bias;
  if (g.needs(0)) d_x = g.add("d_x", Conv2dBackwardData{plain, g.type(x).shape}, {d_y, w});
  if (g.needs(1)) d_w = g.add("d_weight", Conv2dBackwardWeights{plain, g.type(w).shape}, {x, d_y});
  if (bias) d_bias = g.add("d_bias", BiasBackward{}, {d_y});
  return {d_x, d_w, d_bias};
}

Launch Conv2d::lower(Lowering& l) const {
  const auto dims = this->dims(l.in());
  const kernels::Conv2dEpilogue epilogue{bias, residual, relu};
  const size_t none = l.inputs();  // an address that is null
  const size_t bias_at = bias ? 2 : none, residual_at = residual ? none - 1 : none;
  const bool packed = l.fixed(1);
  return l.prepare([&](auto& ctx) {
    auto conv = kernels::prepare_conv2d_forward(ctx, dims, epilogue);
    Launch launch;
    launch.workspace_bytes = conv->workspace_bytes();
    if (packed) {  // the weights are digested once
      launch.retained_bytes = conv->packed_bytes();
      launch.digest_only = {1};
      launch.digest = [=](const Buffers& b) { conv->pack(b.raw(1), b.retained); };
      launch.run = [=](const Buffers& b) {
        conv->run_packed(b.raw(0), b.retained, b.in(bias_at), b.raw(residual_at), b.outputs[0], b.workspace);
      };
    } else {
      launch.run = [=](const Buffers& b) {
        conv->run(b.raw(0), b.raw(1), b.in(bias_at), b.raw(residual_at), b.outputs[0], b.workspace);
      };
    }
    return launch;
  });
}

kernels::Conv2dDims Conv2d::dims(const Types& in) const {
  const Type &x = in[0], &weight = in[1];
  return {.batch = x[0],
          .in_h = x[1],
          .in_w = x[2],
          .in_channels = x[3],
          .out_channels = weight[0],
          .kernel_h = weight[1],
          .kernel_w = weight[2],
          .stride_h = stride.h,
          .stride_w = stride.w,
          .pad_h = padding.h,
          .pad_w = padding.w,
          .dilation_h = dilation.h,
          .dilation_w = dilation.w,
          .scalar = scalar_of(x.dtype)};
}

Types Conv2dBackwardData::infer(const Types& in) const {
  require_inputs(in, 2);
  const Type x{in[0].dtype, input};
  check_size(x, "input");
  require_same(in[0], forward.infer({x, in[1]})[0], "d_y and the convolution's result");
  return {x};
}

Launch Conv2dBackwardData::lower(Lowering& l) const {
  const auto dims = this->dims(l.in());
  return l.prepare([&](auto& ctx) -> Launch {
    auto conv = kernels::prepare_conv2d_backward_data(ctx, dims);
    return {[=](const Buffers& b) { conv->run(b.raw(0), b.raw(1), b.outputs[0], b.workspace); },
            conv->workspace_bytes()};
  });
}

Types Conv2dBackwardWeights::infer(const Types& in) const {
  require_inputs(in, 2);
  check_size({in[0].dtype, weight}, "weight");
  require_same(in[1], forward.infer({in[0], {in[0].dtype, weight}})[0], "d_y and the convolution's result");
  return {f32(weight)};
}

Launch Conv2dBackwardWeights::lower(Lowering& l) const {
  const auto dims = this->dims(l.in());
  return l.prepare([&](auto& ctx) -> Launch {
    auto conv = kernels::prepare_conv2d_backward_weights(ctx, dims);
    return {[=](const Buffers& b) { conv->run(b.raw(0), b.raw(1), b.out(0), b.workspace); }, conv->workspace_bytes()};
  });
}

void conv2d_ops(Tables& tables) {
  tables.ops<Conv2d, Conv2dBackwardData, Conv2dBackwardWeights, BiasBackward>();
  tables.word<Conv2dWord>("Two-dimensional convolution; parameters `weight` [out, in, kh, kw] and, with bias, `bias`.");
}

}  // namespace psanet::layers
