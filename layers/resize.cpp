#include "layers/resize.h"

#include "kernels/resize.h"
#include "layers/sizes.h"

namespace psanet::layers {

namespace {
kernels::ResizeDims dims_of(const Type& x, int64_t height, int64_t width, bool align_corners) {
  return {.batch = x[0],
          .in_h = x[1],
          .in_w = x[2],
          .channels = x[3],
          .out_h = height,
          .out_w = width,
          .align_corners = align_corners};
}
void size_fields(Fields& f, int64_t& height, int64_t& width, bool& align_corners) {
  f("height", height, "rows of the result");
  f("width", width, "columns of the result");
  f("align_corners", align_corners, "corner pixels map onto corner pixels (else half-pixel centres)");
}
}  // namespace

void Resize::fields(Fields& f) {
  size_fields(f, height, width, align_corners);
}

Types Resize::infer(const Types& in) const {
  require_inputs(in, 1);
  require_image(in[0], "x");
  require(height > 0 && width > 0, "a result of {}x{}; height and width must be at least 1", height, width);
  require_size({height, width}, "the result");
  return {{in[0].dtype, {in[0][0], height, width, in[0][3]}}};
}

Values Resize::grad(Gradient& g) const {
  const Type& x = g.type(g.in(0));
  return {g.add("d_x", ResizeBackward{{x[1], x[2]}, align_corners}, {g.d_out(0)})};
}

Launch Resize::lower(Lowering& l) const {
  const auto dims = dims_of(l.in(0), height, width, align_corners);
  return l.launch_as(l.in(0).dtype, [=]<class T>(auto& ctx, const Buffers& b) {
    kernels::resize_forward(ctx, dims, b.in<T>(0), b.out<T>(0));
  });
}

void ResizeBackward::fields(Fields& f) {
  f("input", input, "size of x");
  f("align_corners", align_corners, "as the resize's");
}

Types ResizeBackward::infer(const Types& in) const {
  require_inputs(in, 1);
  require_image(in[0], "d_y");
  require_size(input, "input");
  return {{in[0].dtype, {in[0][0], input.h, input.w, in[0][3]}}};
}

Launch ResizeBackward::lower(Lowering& l) const {
  const auto dims = dims_of(l.out(0), l.in(0)[1], l.in(0)[2], align_corners);
  return l.launch_as(l.in(0).dtype, [=]<class T>(auto& ctx, const Buffers& b) {
    kernels::resize_backward(ctx, dims, b.in<T>(0), b.out<T>(0));
  });
}

void ResizeArgmax::fields(Fields& f) {
  size_fields(f, height, width, align_corners);
}

Types ResizeArgmax::infer(const Types& in) const {
  require_inputs(in, 1);
  require_image(in[0], "x");
  require(in[0][3] <= 255, "{} classes; labels are bytes, at most 255 classes", in[0][3]);
  require_size({height, width}, "the result");
  return {Type{DType::u8, {in[0][0], height, width}}};
}

Launch ResizeArgmax::lower(Lowering& l) const {
  const auto dims = dims_of(l.in(0), height, width, align_corners);
  return l.launch_as(l.in(0).dtype, [=]<class T>(auto& ctx, const Buffers& b) {
    kernels::resize_argmax(ctx, dims, b.in<T>(0), b.out<uint8_t>(0));
  });
}

}  // namespace psanet::layers
