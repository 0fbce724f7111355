#include "layers/relu.h"

#include "kernels/elementwise.h"
#include "layers/check.h"

namespace psanet::layers {

Types Relu::infer(const Types& in) const {
  require_inputs(in, 1);
  return {in[0]};
}
Values Relu::grad(Gradient& g) const {
  return {g.add("d_x", ReluBackward{}, {g.out(0), g.d_out(0)})};
}
Launch Relu::lower(Lowering& l) const {
  const int64_t n = l.in(0).elements();
  return l.launch_as(l.in(0).dtype, [=]<class T>(auto& ctx, const Buffers& b) {
    kernels::relu_forward(ctx, n, b.in<T>(0), b.out<T>(0));
  });
}

Types ReluBackward::infer(const Types& in) const {
  require_inputs(in, 2);
  require_same(in[0], in[1], "y and d_y");
  return {in[0]};
}
Launch ReluBackward::lower(Lowering& l) const {
  const int64_t n = l.in(0).elements();
  return l.launch_as(l.in(0).dtype, [=]<class T>(auto& ctx, const Buffers& b) {
    kernels::relu_backward(ctx, n, b.in<T>(0), b.in<T>(1), b.out<T>(0));
  });
}

}  // namespace psanet::layers
