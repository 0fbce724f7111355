#include "layers/psa.h"

#include "layers/registry.h"
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

namespace {

/// d_value and d_logits from value, logits, out, statistics, d_out.
struct PsaBackward {
  static constexpr const char* kName = "psa_backward";
  Psa forward;
  void fields(Fields& f) { forward.fields(f); }
  Types infer(const Types& in) const { return {in[0], in[1]}; }
  double flops(const Types& in, const Types& out) const { return 2 * forward.flops(in, out); }
  Launch lower(Lowering& l) const {
    const auto dims = dims_of(forward, l.in(0));
    return l.prepare_as(l.in(0).dtype, [&]<class T>(auto& ctx) -> Launch {
      return {[&ctx, dims](const Buffers& b) {
                kernels::psa_backward(ctx, dims, b.in<T>(0), b.in<T>(1), b.in<T>(2), b.in(3), b.in<T>(4), b.out<T>(0),
                                      b.out<T>(1), b.workspace);
              },
              kernels::psa_workspace_bytes(ctx, dims)};
    });
  }
};

/// Attention with the paper's way of stating the mask and the normalisation.
struct PsaWord final : Layer {
  static constexpr const char* kName = "psa";
  PsaMode mode = PsaMode::collect;
  std::optional<int64_t> mask_h, mask_w;
  bool compact = false, softmax = true;
  std::optional<double> normalization_factor = 1.0;

  void fields(Fields& f) override {
    f("mode", mode, "collect: a target reads its own logits; distribute: it reads what each source wrote for it");
    f("mask_h", mask_h, "rows of the over-complete map; null: full, 2H-1");
    f("mask_w", mask_w, "columns of the over-complete map; null: full, 2W-1");
    f("compact", compact, "one logit for each absolute position (H*W channels) instead of relative offsets");
    f("softmax", softmax, "softmax over the sources; else the raw logits are the weights");
    f("normalization_factor", normalization_factor, "divides the result; null: mask_h * mask_w");
  }
  Value build(const Building& b, const Values& in) const override {
    const Type& x = b.graph.type(in[0]);
    require_image(x, "value");
    require_range(mask_h.value_or(1), 1, kMostSize, "mask_h");
    require_range(mask_w.value_or(1), 1, kMostSize, "mask_w");
    Psa op;
    op.mode = mode;
    // The mask of the compact form is the map itself, also for a null normalisation factor.
    op.mask_h = compact ? x[1] : mask_h.value_or(2 * x[1] - 1);
    op.mask_w = compact ? x[2] : mask_w.value_or(2 * x[2] - 1);
    op.compact = compact;
    op.softmax = softmax;
    const double factor = normalization_factor.value_or(static_cast<double>(op.mask_h * op.mask_w));
    require(factor != 0, "normalization_factor is 0; want another number, or null for mask_h * mask_w");
    op.scale = 1 / factor;
    return b.graph.add(b.path, op, in);
  }
};

}  // namespace

Values Psa::grad(Gradient& g) const {
  const Values d = g.apply("d_value", PsaBackward{*this}, {g.in(0), g.in(1), g.out(0), g.out(1), g.d_out(0)});
  return {d[0], d[1]};
}

void psa_ops(Tables& tables) {
  tables.ops<Psa, PsaBackward>();
  tables.word<PsaWord>("Point-wise spatial attention (SPEC 1): inputs are the features to aggregate and the logits.", 2,
                       2);
}

}  // namespace psanet::layers
