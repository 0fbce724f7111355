#include "layers/bias.h"

#include "kernels/elementwise.h"
#include "layers/check.h"

namespace psanet::layers {

Types BiasBackward::infer(const Types& in) const {
  require_inputs(in, 1);
  return {f32({in[0][-1]})};
}

Launch BiasBackward::lower(Lowering& l) const {
  const kernels::BiasDims dims{rows(l.in(0)), l.in(0)[-1]};
  return l.launch_as(l.in(0).dtype, [=]<class T>(auto& ctx, const Buffers& b) {
    kernels::bias_backward(ctx, dims, b.in<T>(0), b.out(0));
  });
}

}  // namespace psanet::layers
