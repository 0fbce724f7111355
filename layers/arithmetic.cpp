#include "layers/arithmetic.h"

#include "kernels/elementwise.h"
#include "layers/check.h"

namespace psanet::layers {

Types Add::infer(const Types& in) const {
  require_inputs(in, 2);
  require_same(in[0], in[1], "the two summands");
  return {in[0]};
}
Launch Add::lower(Lowering& l) const {
  const int64_t n = l.in(0).elements();
  return l.launch_as(l.in(0).dtype, [=]<class T>(auto& ctx, const Buffers& b) {
    kernels::add(ctx, n, b.in<T>(0), b.in<T>(1), b.out<T>(0));
  });
}

Types Scale::infer(const Types& in) const {
  require_inputs(in, 1);
  return {in[0]};
}
Launch Scale::lower(Lowering& l) const {
  const int64_t n = l.in(0).elements();
  const auto f = static_cast<float>(factor);
  return l.launch_as(l.in(0).dtype,
                     [=]<class T>(auto& ctx, const Buffers& b) { kernels::scale(ctx, n, f, b.in<T>(0), b.out<T>(0)); });
}

Types ScaleBy::infer(const Types& in) const {
  require_inputs(in, 2);
  require(in[1].elements() == 1, "the factor is {}, want one value", to_string(in[1]));
  return {in[0]};
}
Launch ScaleBy::lower(Lowering& l) const {
  const int64_t n = l.in(0).elements();
  return l.launch_as(l.in(0).dtype, [=]<class T>(auto& ctx, const Buffers& b) {
    kernels::scale_by(ctx, n, b.in(1), b.in<T>(0), b.out<T>(0));
  });
}

Types DivideOrZero::infer(const Types& in) const {
  require_inputs(in, 2);
  require_same(in[0], in[1], "numerator and denominator");
  return {in[0]};
}
Launch DivideOrZero::lower(Lowering& l) const {
  const int64_t n = l.in(0).elements();
  return l.launch([=](auto& ctx, const Buffers& b) { kernels::divide_or_zero(ctx, n, b.in(0), b.in(1), b.out(0)); });
}

}  // namespace psanet::layers
