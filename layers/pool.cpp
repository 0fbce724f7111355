#include "layers/pool.h"

#include "kernels/pool.h"
#include "layers/sizes.h"

namespace psanet::layers {

namespace {

void window_fields(Fields& f, Size2& kernel, Size2& stride, Size2& padding) {
  f("kernel", kernel, "size of the window");
  f("stride", stride, "step of the window");
  f("padding", padding, "border on each side");
}

template <class T>
kernels::PoolDims dims_of(const T& op, const Type& x) {
  require_bounded(op.kernel, 1, "kernel");
  require_bounded(op.stride, 1, "stride");
  require_bounded(op.padding, 0, "padding");
  return {.batch = x[0],
          .in_h = x[1],
          .in_w = x[2],
          .channels = x[3],
          .kernel_h = op.kernel.h,
          .kernel_w = op.kernel.w,
          .stride_h = op.stride.h,
          .stride_w = op.stride.w,
          .pad_h = op.padding.h,
          .pad_w = op.padding.w};
}

/// Shape of x behind a d_y.
template <class T>
Type input_of(const T& op, const Type& d_y) {
  require_size(op.input, "input");
  return {d_y.dtype, {d_y[0], op.input.h, op.input.w, d_y[3]}};
}

Type infer_pool(const kernels::PoolDims& d, DType dtype) {
  require(d.kernel_h > 0 && d.kernel_w > 0 && d.stride_h > 0 && d.stride_w > 0, "kernel and stride must be at least 1");
  require(d.pad_h >= 0 && d.pad_w >= 0 && 2 * d.pad_h <= d.kernel_h && 2 * d.pad_w <= d.kernel_w,
          "padding {}x{} must be at most half the kernel {}x{}", d.pad_h, d.pad_w, d.kernel_h, d.kernel_w);
  require(d.in_h + 2 * d.pad_h >= d.kernel_h && d.in_w + 2 * d.pad_w >= d.kernel_w,
          "the window is larger than the padded input");
  return {dtype, {d.batch, d.out_h(), d.out_w(), d.channels}};
}

kernels::AdaptivePoolDims adaptive_dims(const Type& x, Size2 size) {
  return {.batch = x[0], .in_h = x[1], .in_w = x[2], .channels = x[3], .out_h = size.h, .out_w = size.w};
}

}  // namespace

void MaxPool::fields(Fields& f) {
  window_fields(f, kernel, stride, padding);
}

Types MaxPool::infer(const Types& in) const {
  require_inputs(in, 1);
  require_image(in[0], "x");
  const auto dims = dims_of(*this, in[0]);
  require(dims.kernel_h * dims.kernel_w <= 255, "a window of more than 255 places");
  const Type y = infer_pool(dims, in[0].dtype);
  return {y, Type{DType::u8, y.shape}};
}

Values MaxPool::grad(Gradient& g) const {
  const Type& x = g.type(g.in(0));
  return {g.add("d_x", MaxPoolBackward{{x[1], x[2]}, kernel, stride, padding}, {g.out(1), g.d_out(0)})};
}

Launch MaxPool::lower(Lowering& l) const {
  const auto dims = dims_of(*this, l.in(0));
  return l.launch_as(l.in(0).dtype, [=]<class T>(auto& ctx, const Buffers& b) {
    kernels::max_pool_forward(ctx, dims, b.in<T>(0), b.out<T>(0), b.out<uint8_t>(1));
  });
}

void MaxPoolBackward::fields(Fields& f) {
  f("input", input, "size of x");
  window_fields(f, kernel, stride, padding);
}

Types MaxPoolBackward::infer(const Types& in) const {
  require_inputs(in, 2);
  require_image(in[1], "d_y");
  const Type x = input_of(*this, in[1]);
  require_same(infer_pool(dims_of(*this, x), x.dtype), in[1], "the pool's result and d_y");
  return {x};
}

Launch MaxPoolBackward::lower(Lowering& l) const {
  const auto dims = dims_of(*this, l.out(0));
  return l.launch_as(l.in(1).dtype, [=]<class T>(auto& ctx, const Buffers& b) {
    kernels::max_pool_backward(ctx, dims, b.in<uint8_t>(0), b.in<T>(1), b.out<T>(0));
  });
}

void AveragePool::fields(Fields& f) {
  window_fields(f, kernel, stride, padding);
  f("count_padding", count_padding, "padding counts as zeros in the mean");
}

Types AveragePool::infer(const Types& in) const {
  require_inputs(in, 1);
  require_image(in[0], "x");
  return {infer_pool(dims_of(*this, in[0]), in[0].dtype)};
}

Values AveragePool::grad(Gradient& g) const {
  const Type& x = g.type(g.in(0));
  return {g.add("d_x", AveragePoolBackward{{x[1], x[2]}, kernel, stride, padding, count_padding}, {g.d_out(0)})};
}

Launch AveragePool::lower(Lowering& l) const {
  const auto dims = dims_of(*this, l.in(0));
  const bool counted = count_padding;
  return l.launch_as(l.in(0).dtype, [=]<class T>(auto& ctx, const Buffers& b) {
    kernels::average_pool_forward(ctx, dims, counted, b.in<T>(0), b.out<T>(0));
  });
}

void AveragePoolBackward::fields(Fields& f) {
  f("input", input, "size of x");
  window_fields(f, kernel, stride, padding);
  f("count_padding", count_padding, "padding counts as zeros in the mean");
}

Types AveragePoolBackward::infer(const Types& in) const {
  require_inputs(in, 1);
  require_image(in[0], "d_y");
  const Type x = input_of(*this, in[0]);
  require_same(infer_pool(dims_of(*this, x), x.dtype), in[0], "the pool's result and d_y");
  return {x};
}

Launch AveragePoolBackward::lower(Lowering& l) const {
  const auto dims = dims_of(*this, l.out(0));
  const bool counted = count_padding;
  return l.launch_as(l.in(0).dtype, [=]<class T>(auto& ctx, const Buffers& b) {
    kernels::average_pool_backward(ctx, dims, counted, b.in<T>(0), b.out<T>(0));
  });
}

Types AdaptiveAveragePool::infer(const Types& in) const {
  require_inputs(in, 1);
  require_image(in[0], "x");
  require(size.h > 0 && size.w > 0, "size {}x{} must be at least 1x1", size.h, size.w);
  require_size(size, "size");
  return {{in[0].dtype, {in[0][0], size.h, size.w, in[0][3]}}};
}

Values AdaptiveAveragePool::grad(Gradient& g) const {
  const Type& x = g.type(g.in(0));
  return {g.add("d_x", AdaptiveAveragePoolBackward{{x[1], x[2]}}, {g.d_out(0)})};
}

Launch AdaptiveAveragePool::lower(Lowering& l) const {
  const auto dims = adaptive_dims(l.in(0), size);
  return l.launch_as(l.in(0).dtype, [=]<class T>(auto& ctx, const Buffers& b) {
    kernels::adaptive_average_pool_forward(ctx, dims, b.in<T>(0), b.out<T>(0));
  });
}

Types AdaptiveAveragePoolBackward::infer(const Types& in) const {
  require_inputs(in, 1);
  require_image(in[0], "d_y");
  return {input_of(*this, in[0])};
}

Launch AdaptiveAveragePoolBackward::lower(Lowering& l) const {
  const auto dims = adaptive_dims(l.out(0), {l.in(0)[1], l.in(0)[2]});
  return l.launch_as(l.in(0).dtype, [=]<class T>(auto& ctx, const Buffers& b) {
    kernels::adaptive_average_pool_backward(ctx, dims, b.in<T>(0), b.out<T>(0));
  });
}

}  // namespace psanet::layers
