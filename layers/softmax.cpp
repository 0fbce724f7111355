#include "layers/softmax.h"

#include "kernels/softmax.h"
#include "layers/registry.h"

namespace psanet::layers {

namespace {

kernels::SoftmaxDims dims_of(const Type& x) {
  return {rows(x), x[-1]};
}

struct SoftmaxBackward : BackwardFromResult {
  static constexpr const char* kName = "softmax_backward";
  Launch lower(Lowering& l) const {
    return l.launch_as(l.in(0).dtype, [dims = dims_of(l.in(0))]<class T>(auto& ctx, const Buffers& b) {
      kernels::softmax_backward(ctx, dims, b.in<T>(0), b.in<T>(1), b.out<T>(0));
    });
  }
};

}  // namespace

Values Softmax::grad(Gradient& g) const {
  return {g.add("d_x", SoftmaxBackward{}, {g.out(0), g.d_out(0)})};
}

Launch Softmax::lower(Lowering& l) const {
  return l.launch_as(l.in(0).dtype, [dims = dims_of(l.in(0))]<class T>(auto& ctx, const Buffers& b) {
    kernels::softmax_forward(ctx, dims, b.in<T>(0), b.out<T>(0));
  });
}

void softmax_ops(Tables& tables) {
  tables.ops<Softmax, SoftmaxBackward>();
  tables.word<Softmax>("Softmax over channels.");
}

}  // namespace psanet::layers
