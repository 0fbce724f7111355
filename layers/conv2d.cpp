#include "layers/conv2d.h"

#include "kernels/conv2d.h"
#include "layers/bias.h"
#include "layers/sizes.h"

namespace psanet::layers {

namespace {

kernels::Conv2dDims dims_of(const Type& x, int64_t out_channels, Size2 kernel, Size2 stride, Size2 padding,
                            Size2 dilation) {
  require_bounded(kernel, 1, "kernel");
  require_bounded(stride, 1, "stride");
  require_bounded(padding, 0, "padding");
  require_bounded(dilation, 1, "dilation");
  return {.batch = x[0],
          .in_h = x[1],
          .in_w = x[2],
          .in_channels = x[3],
          .out_channels = out_channels,
          .kernel_h = kernel.h,
          .kernel_w = kernel.w,
          .stride_h = stride.h,
          .stride_w = stride.w,
          .pad_h = padding.h,
          .pad_w = padding.w,
          .dilation_h = dilation.h,
          .dilation_w = dilation.w,
          .scalar = scalar_of(x.dtype)};
}

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

void Conv2d::fields(Fields& f) {
  f("stride", stride, "step of the window");
  f("padding", padding, "zeros added on each side");
  f("dilation", dilation, "distance between the taps of the window");
  f("bias", bias, "has a bias input");
  f("residual", residual, "adds a residual input (set by passes)");
  f("relu", relu, "ends in a ReLU (set by passes)");
}

Types Conv2d::infer(const Types& in) const {
  require_inputs(in, 2u + (bias ? 1 : 0) + (residual ? 1 : 0));
  require_image(in[0], "x");
  require_rank(in[1], 4, "weight");
  require(in[0][3] == in[1][3], "x has {} channels, the weight wants {}", in[0][3], in[1][3]);
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
  Value d_x, d_w, d_bias;
  if (g.needs(0)) {
    const Size2 input{g.type(x)[1], g.type(x)[2]};
    d_x = g.add("d_x", Conv2dBackwardData{input, stride, padding, dilation}, {d_y, w});
  }
  if (g.needs(1)) {
    const Size2 kernel{g.type(w)[1], g.type(w)[2]};
    d_w = g.add("d_weight", Conv2dBackwardWeights{kernel, stride, padding, dilation}, {x, d_y});
  }
  if (bias) d_bias = g.add("d_bias", BiasBackward{}, {d_y});
  return {d_x, d_w, d_bias};
}

Launch Conv2d::lower(Lowering& l) const {
  const auto dims = this->dims(l.in());
  const kernels::Conv2dEpilogue epilogue{bias, residual, relu};
  const size_t bias_at = 2, residual_at = bias ? 3 : 2;
  const bool packed = l.constant(1);
  return l.prepare([&](auto& ctx) {
    auto conv = kernels::prepare_conv2d_forward(ctx, dims, epilogue);
    Launch launch;
    launch.workspace_bytes = conv->workspace_bytes();
    const bool b_used = bias, r_used = residual;
    if (packed) {  // the weights are digested once
      launch.retained_bytes = conv->packed_bytes();
      launch.refresh_only = {1};
      launch.refresh = [=](const Buffers& b) { conv->pack(b.raw(1), b.retained); };
      launch.run = [=](const Buffers& b) {
        conv->run_packed(b.raw(0), b.retained, b_used ? b.in(bias_at) : nullptr, r_used ? b.raw(residual_at) : nullptr,
                         b.outputs[0], b.workspace);
      };
    } else {
      launch.run = [=](const Buffers& b) {
        conv->run(b.raw(0), b.raw(1), b_used ? b.in(bias_at) : nullptr, r_used ? b.raw(residual_at) : nullptr,
                  b.outputs[0], b.workspace);
      };
    }
    return launch;
  });
}

double Conv2d::flops(const Types& in, const Types&) const {
  return dims(in).flops();
}

kernels::Conv2dDims Conv2d::dims(const Types& in) const {
  return dims_of(in[0], in[1][0], {in[1][1], in[1][2]}, stride, padding, dilation);
}

void Conv2dBackwardData::fields(Fields& f) {
  f("input", input, "size of x");
  f("stride", stride, "as the convolution's");
  f("padding", padding, "as the convolution's");
  f("dilation", dilation, "as the convolution's");
}

namespace {
void check_result(const kernels::Conv2dDims& d, const Type& d_y) {
  check(d);
  require_same(d_y, {d_y.dtype, {d.batch, d.out_h(), d.out_w(), d.out_channels}}, "d_y and the convolution's result");
}
}  // namespace

kernels::Conv2dDims Conv2dBackwardData::dims(const Types& in) const {  // of d_y and weight
  return dims_of({in[0].dtype, {in[0][0], input.h, input.w, in[1][3]}}, in[1][0], {in[1][1], in[1][2]}, stride, padding,
                 dilation);
}

Types Conv2dBackwardData::infer(const Types& in) const {
  require_inputs(in, 2);
  require_image(in[0], "d_y");
  require_rank(in[1], 4, "weight");
  require_size(input, "input");
  const auto d = dims(in);
  check_result(d, in[0]);
  require(in[0].dtype == in[1].dtype, "d_y is {}, the weight {}", name(in[0].dtype), name(in[1].dtype));
  return {{in[0].dtype, {d.batch, d.in_h, d.in_w, d.in_channels}}};
}

Launch Conv2dBackwardData::lower(Lowering& l) const {
  const auto dims = this->dims(l.in());
  return l.prepare([&](auto& ctx) -> Launch {
    auto conv = kernels::prepare_conv2d_backward_data(ctx, dims);
    return {[=](const Buffers& b) { conv->run(b.raw(0), b.raw(1), b.outputs[0], b.workspace); },
            conv->workspace_bytes()};
  });
}

double Conv2dBackwardData::flops(const Types& in, const Types&) const {
  return dims(in).flops();
}

void Conv2dBackwardWeights::fields(Fields& f) {
  f("kernel", kernel, "size of the window");
  f("stride", stride, "as the convolution's");
  f("padding", padding, "as the convolution's");
  f("dilation", dilation, "as the convolution's");
}

kernels::Conv2dDims Conv2dBackwardWeights::dims(const Types& in) const {  // of x and d_y
  return dims_of(in[0], in[1][3], kernel, stride, padding, dilation);
}

Types Conv2dBackwardWeights::infer(const Types& in) const {
  require_inputs(in, 2);
  require_image(in[0], "x");
  require_image(in[1], "d_y");
  require(in[0].dtype == in[1].dtype, "x is {}, d_y {}", name(in[0].dtype), name(in[1].dtype));
  const auto d = dims(in);
  check_result(d, in[1]);
  return {f32({d.out_channels, kernel.h, kernel.w, d.in_channels})};
}

Launch Conv2dBackwardWeights::lower(Lowering& l) const {
  const auto dims = this->dims(l.in());
  return l.prepare([&](auto& ctx) -> Launch {
    auto conv = kernels::prepare_conv2d_backward_weights(ctx, dims);
    return {[=](const Buffers& b) { conv->run(b.raw(0), b.raw(1), b.out(0), b.workspace); }, conv->workspace_bytes()};
  });
}

double Conv2dBackwardWeights::flops(const Types& in, const Types&) const {
  return dims(in).flops();
}

}  // namespace psanet::layers
