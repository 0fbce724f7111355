#include "layers/cast.h"

#include "kernels/elementwise.h"
#include "kernels/memory.h"
#include "layers/check.h"
#include "layers/registry.h"

namespace psanet {
std::span<const char* const> choices(DType) {
  static constexpr const char* kNames[] = {"f32", "bf16", "i32", "i64", "u8"};
  return kNames;
}
}  // namespace psanet

namespace psanet::layers {

Types Cast::infer(const Types& in) const {
  require_inputs(in, 1);
  require(is_float(in[0].dtype) && is_float(to), "from {} to {}, want f32 or bf16", name(in[0].dtype), name(to));
  return {{to, in[0].shape}};
}

Values Cast::grad(Gradient& g) const {
  const DType from = g.type(g.in(0)).dtype;
  return {g.type(g.d_out(0)).dtype == from ? g.d_out(0) : g.add("d_x", Cast{from}, {g.d_out(0)})};
}

Launch Cast::lower(Lowering& l) const {
  using kernels::bf16;
  const int64_t n = l.in(0).elements(), bytes = l.in(0).bytes();
  if (l.in(0).dtype == to) {
    return l.launch(
        [=](auto& ctx, const Buffers& b) { kernels::copy_on_device(ctx, b.outputs[0], b.inputs[0], bytes); });
  }
  if (to == DType::bf16) {
    return l.launch([=](auto& ctx, const Buffers& b) { kernels::cast(ctx, n, b.in(0), b.template out<bf16>(0)); });
  }
  return l.launch([=](auto& ctx, const Buffers& b) { kernels::cast(ctx, n, b.template in<bf16>(0), b.out(0)); });
}

void cast_ops(Tables& tables) {
  tables.ops<Cast>();
}

}  // namespace psanet::layers
