#include "layers/resize.h"

#include "kernels/resize.h"
#include "layers/bases.h"
#include "layers/registry.h"
#include "layers/sizes.h"

namespace psanet::layers {

namespace {

template <class T>
kernels::ResizeDims dims_of(const T& op, const Type& x) {
  return {.batch = x[0],
          .in_h = x[1],
          .in_w = x[2],
          .channels = x[3],
          .out_h = op.height,
          .out_w = op.width,
          .align_corners = op.align_corners};
}

struct ResizeBackward : Backward<Resize> {
  static constexpr const char* kName = "resize_backward";
  Launch lower(Lowering& l) const {
    const auto dims = dims_of(forward, l.out(0));
    return l.launch_as(l.in(0).dtype, [=]<class T>(auto& ctx, const Buffers& b) {
      kernels::resize_backward(ctx, dims, b.in<T>(0), b.out<T>(0));
    });
  }
};

/// A resize to the same size adds nothing.
struct ResizeWord final : Layer {
  static constexpr const char* kName = "resize";
  Resize op;

  void fields(Fields& f) override { op.fields(f); }
  Value build(const Building& b, const Values& in) const override {
    const Type& x = b.graph.type(in[0]);
    if (x.rank() == 4 && x[1] == op.height && x[2] == op.width) return in[0];
    return b.graph.add(b.path, op, in);
  }
};

}  // namespace

Types Resize::infer(const Types& in) const {
  require_inputs(in, 1);
  require_image(in[0], "x");
  require(height > 0 && width > 0, "a result of {}x{}; height and width must be at least 1", height, width);
  require_size({height, width}, "the result");
  return {{in[0].dtype, {in[0][0], height, width, in[0][3]}}};
}

Values Resize::grad(Gradient& g) const {
  return backward<ResizeBackward>(g, *this, {g.d_out(0)});
}

Launch Resize::lower(Lowering& l) const {
  const auto dims = dims_of(*this, l.in(0));
  return l.launch_as(l.in(0).dtype, [=]<class T>(auto& ctx, const Buffers& b) {
    kernels::resize_forward(ctx, dims, b.in<T>(0), b.out<T>(0));
  });
}

Types ResizeArgmax::infer(const Types& in) const {
  require_inputs(in, 1);
  require_image(in[0], "x");
  require(in[0][3] <= 255, "{} classes; labels are bytes, at most 255 classes", in[0][3]);
  require_size({height, width}, "the result");
  return {Type{DType::u8, {in[0][0], height, width}}};
}

Launch ResizeArgmax::lower(Lowering& l) const {
  const auto dims = dims_of(*this, l.in(0));
  return l.launch_as(l.in(0).dtype, [=]<class T>(auto& ctx, const Buffers& b) {
    kernels::resize_argmax(ctx, dims, b.in<T>(0), b.out<uint8_t>(0));
  });
}

void resize_ops(Tables& tables) {
  tables.ops<Resize, ResizeBackward, ResizeArgmax>();
  tables.word<ResizeWord>("Bilinear resize; the same size adds nothing.");
}

}  // namespace psanet::layers
