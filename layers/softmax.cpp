#include "layers/softmax.h"

#include "kernels/softmax.h"
#include "layers/check.h"

namespace psanet::layers {

Types Softmax::infer(const Types& in) const {
  require_inputs(in, 1);
  return {in[0]};
}
Values Softmax::grad(Gradient& g) const {
  return {g.add("d_x", SoftmaxBackward{}, {g.out(0), g.d_out(0)})};
}
Launch Softmax::lower(Lowering& l) const {
  const kernels::SoftmaxDims dims{rows(l.in(0)), l.in(0)[-1]};
  return l.launch_as(l.in(0).dtype, [=]<class T>(auto& ctx, const Buffers& b) {
    kernels::softmax_forward(ctx, dims, b.in<T>(0), b.out<T>(0));
  });
}

Types SoftmaxBackward::infer(const Types& in) const {
  require_inputs(in, 2);
  require_same(in[0], in[1], "y and d_y");
  return {in[0]};
}
Launch SoftmaxBackward::lower(Lowering& l) const {
  const kernels::SoftmaxDims dims{rows(l.in(0)), l.in(0)[-1]};
  return l.launch_as(l.in(0).dtype, [=]<class T>(auto& ctx, const Buffers& b) {
    kernels::softmax_backward(ctx, dims, b.in<T>(0), b.in<T>(1), b.out<T>(0));
  });
}

}  // namespace psanet::layers
