#include "layers/psa.h"

#include "layers/sizes.h"

namespace psanet::kernels {
std::span<const char* const> choices(PsaMode) {
  static constexpr const char* kNames[] = {"collect", "distribute"};
  return kNames;
}
}  // namespace psanet::kernels

namespace psanet::layers {

kernels::PsaDims dims_of(const Psa& op, const Type& value) {
  return {.batch = value[0],
          .height = value[1],
          .width = value[2],
          .channels = value[3],
          .mask_h = op.mask_h,
          .mask_w = op.mask_w,
          .mode = op.mode,
          .compact = op.compact,
          .softmax = op.softmax,
          .scale = static_cast<float>(op.scale)};
}

void Psa::fields(Fields& f) {
  f("mode", mode, "collect: the target's logits weigh the sources; distribute: the source's logits weigh the targets");
  f("mask_h", mask_h, "rows of the over-complete map");
  f("mask_w", mask_w, "columns of the over-complete map");
  f("compact", compact, "one logit an absolute position instead of a relative offset");
  f("softmax", softmax, "softmax over the sources; else the raw logits are the weights");
  f("scale", scale, "multiplies the result: 1 / normalization factor");
}

Types Psa::infer(const Types& in) const {
  require_inputs(in, 2);
  require_image(in[0], "value");
  require_image(in[1], "logits");
  require_bounded({mask_h, mask_w}, 0, "mask");
  const auto d = dims_of(*this, in[0]);
  require(compact || (mask_h > 0 && mask_w > 0), "a mask of {}x{}; its sides must be at least 1", mask_h, mask_w);
  const Type wanted{in[0].dtype, {d.batch, d.height, d.width, d.logit_channels()}};
  require(in[1] == wanted, "logits are {}, want {} ({})", to_string(in[1]), to_string(wanted),
          compact ? "H*W channels: the compact form fits one map size only" : "mask_h * mask_w channels");
  return {in[0], f32({d.batch, d.positions(), 2})};
}

Values Psa::grad(Gradient& g) const {
  const Values d = g.apply("d_value", PsaBackward{*this}, {g.in(0), g.in(1), g.out(0), g.out(1), g.d_out(0)});
  return {d[0], d[1]};
}

Launch Psa::lower(Lowering& l) const {
  const auto dims = dims_of(*this, l.in(0));
  return l.prepare_as(l.in(0).dtype, [&]<class T>(auto& ctx) -> Launch {
    return {[&ctx, dims](const Buffers& b) {
              kernels::psa_forward(ctx, dims, b.in<T>(0), b.in<T>(1), b.out<T>(0), b.out(1), b.workspace);
            },
            kernels::psa_workspace_bytes(ctx, dims)};
  });
}

double Psa::flops(const Types& in, const Types&) const {
  const auto d = dims_of(*this, in[0]);
  return 2.0 * static_cast<double>(d.batch * d.positions()) * static_cast<double>(d.positions() * d.channels);
}

Launch PsaBackward::lower(Lowering& l) const {
  const auto dims = dims_of(forward, l.in(0));
  return l.prepare_as(l.in(0).dtype, [&]<class T>(auto& ctx) -> Launch {
    return {[&ctx, dims](const Buffers& b) {
              kernels::psa_backward(ctx, dims, b.in<T>(0), b.in<T>(1), b.in<T>(2), b.in(3), b.in<T>(4), b.out<T>(0),
                                    b.out<T>(1), b.workspace);
            },
            kernels::psa_workspace_bytes(ctx, dims)};
  });
}

double PsaBackward::flops(const Types& in, const Types& out) const {
  return 2 * forward.flops(in, out);
}

}  // namespace psanet::layers
