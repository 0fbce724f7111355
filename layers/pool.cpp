#include "layers/pool.h"

#include "kernels/pool.h"
#include "layers/bases.h"
#include "layers/registry.h"
#include "layers/sizes.h"

namespace psanet::layers {

namespace {

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

Type infer_pool(const kernels::PoolDims& d, DType dtype) {
  require(d.kernel_h > 0 && d.kernel_w > 0 && d.stride_h > 0 && d.stride_w > 0, "kernel and stride must be at least 1");
  require(d.pad_h >= 0 && d.pad_w >= 0 && 2 * d.pad_h <= d.kernel_h && 2 * d.pad_w <= d.kernel_w,
          "padding {}x{} must be at most half the kernel {}x{}", d.pad_h, d.pad_w, d.kernel_h, d.kernel_w);
  require(d.in_h + 2 * d.pad_h >= d.kernel_h && d.in_w + 2 * d.pad_w >= d.kernel_w,
          "the window is larger than the padded input");
  return {dtype, {d.batch, d.out_h(), d.out_w(), d.channels}};
}

/// d_x from the places of the maxima and d_y.
struct MaxPoolBackward : Backward<MaxPool, 2> {
  static constexpr const char* kName = "max_pool_backward";
  Launch lower(Lowering& l) const {
    const auto dims = dims_of(forward, l.out(0));
    return l.launch_as(l.in(1).dtype, [=]<class T>(auto& ctx, const Buffers& b) {
      kernels::max_pool_backward(ctx, dims, b.in<uint8_t>(0), b.in<T>(1), b.out<T>(0));
    });
  }
};

/// Mean of each window.
struct AveragePool {
  static constexpr const char* kName = "average_pool";
  Size2 kernel{2, 2}, stride{2, 2}, padding{0, 0};
  bool count_padding = true;
  void fields(Fields& f) {
    f("kernel", kernel, "size of the window");
    f("stride", stride, "step of the window");
    f("padding", padding, "border on each side");
    f("count_padding", count_padding, "padding counts as zeros in the mean");
  }
  Types infer(const Types& in) const {
    require_inputs(in, 1);
    require_image(in[0], "x");
    return {infer_pool(dims_of(*this, in[0]), in[0].dtype)};
  }
  Values grad(Gradient& g) const;
  Launch lower(Lowering& l) const {
    const auto dims = dims_of(*this, l.in(0));
    return l.launch_as(l.in(0).dtype, [=, counted = count_padding]<class T>(auto& ctx, const Buffers& b) {
      kernels::average_pool_forward(ctx, dims, counted, b.in<T>(0), b.out<T>(0));
    });
  }
};

struct AveragePoolBackward : Backward<AveragePool> {
  static constexpr const char* kName = "average_pool_backward";
  Launch lower(Lowering& l) const {
    const auto dims = dims_of(forward, l.out(0));
    return l.launch_as(l.in(0).dtype, [=, counted = forward.count_padding]<class T>(auto& ctx, const Buffers& b) {
      kernels::average_pool_backward(ctx, dims, counted, b.in<T>(0), b.out<T>(0));
    });
  }
};

/// `size` windows an axis; window i covers floor(i*H/size) .. ceil((i+1)*H/size)-1.
struct AdaptiveAveragePool {
  static constexpr const char* kName = "adaptive_average_pool";
  Size2 size{1, 1};
  void fields(Fields& f) { f("size", size, "size of the result"); }
  Types infer(const Types& in) const {
    require_inputs(in, 1);
    require_image(in[0], "x");
    require(size.h > 0 && size.w > 0, "size {}x{} must be at least 1x1", size.h, size.w);
    require_size(size, "size");
    return {{in[0].dtype, {in[0][0], size.h, size.w, in[0][3]}}};
  }
  Values grad(Gradient& g) const;
  Launch lower(Lowering& l) const {
    const auto dims = this->dims(l.in(0));
    return l.launch_as(l.in(0).dtype, [=]<class T>(auto& ctx, const Buffers& b) {
      kernels::adaptive_average_pool_forward(ctx, dims, b.in<T>(0), b.out<T>(0));
    });
  }
  kernels::AdaptivePoolDims dims(const Type& x) const {
    return {.batch = x[0], .in_h = x[1], .in_w = x[2], .channels = x[3], .out_h = size.h, .out_w = size.w};
  }
};

struct AdaptiveAveragePoolBackward : Backward<AdaptiveAveragePool> {
  static constexpr const char* kName = "adaptive_average_pool_backward";
  Launch lower(Lowering& l) const {
    const auto dims = forward.dims(l.out(0));
    return l.launch_as(l.in(0).dtype, [=]<class T>(auto& ctx, const Buffers& b) {
      kernels::adaptive_average_pool_backward(ctx, dims, b.in<T>(0), b.out<T>(0));
    });
  }
};

}  // namespace

Types MaxPool::infer(const Types& in) const {
  require_inputs(in, 1);
  require_image(in[0], "x");
  const auto dims = dims_of(*this, in[0]);
  require(dims.kernel_h * dims.kernel_w <= 255, "a window of more than 255 places");
  const Type y = infer_pool(dims, in[0].dtype);
  return {y, Type{DType::u8, y.shape}};
}

Values MaxPool::grad(Gradient& g) const {
  return backward<MaxPoolBackward>(g, *this, {g.out(1), g.d_out(0)});
}

Launch MaxPool::lower(Lowering& l) const {
  const auto dims = dims_of(*this, l.in(0));
  return l.launch_as(l.in(0).dtype, [=]<class T>(auto& ctx, const Buffers& b) {
    kernels::max_pool_forward(ctx, dims, b.in<T>(0), b.out<T>(0), b.out<uint8_t>(1));
  });
}

Values AveragePool::grad(Gradient& g) const {
  return backward<AveragePoolBackward>(g, *this, {g.d_out(0)});
}

Values AdaptiveAveragePool::grad(Gradient& g) const {
  return backward<AdaptiveAveragePoolBackward>(g, *this, {g.d_out(0)});
}

void pool_ops(Tables& tables) {
  tables.ops<MaxPool, MaxPoolBackward, AveragePool, AveragePoolBackward, AdaptiveAveragePool,
             AdaptiveAveragePoolBackward>();
  tables.word<MaxPool>("Largest value of each window; padding is never the largest.");
  tables.word<AveragePool>("Mean of each window.");
  tables.word<AdaptiveAveragePool>("Mean over `size` windows an axis that cover the map; size 1 is global pooling.");
}

}  // namespace psanet::layers
