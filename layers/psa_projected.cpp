#include "layers/psa_projected.h"

#include "layers/check.h"
#include "layers/registry.h"

namespace psanet::layers {

namespace {
kernels::PsaProjectedDims dims_of(const PsaProjected& op, const Types& in) {
  kernels::PsaProjectedDims dims;
  dims.psa = dims_of(op.psa, in[0]);
  dims.features = in[1][3];
  dims.scalar = scalar_of(in[0].dtype);
  return dims;
}

double flops_of(const kernels::PsaProjectedDims& d) {
  const auto positions = static_cast<double>(d.psa.batch * d.psa.positions());
  return 2 * positions *
         (static_cast<double>(d.psa.positions() * d.psa.channels) +
          static_cast<double>(d.score_columns() * d.features));
}

/// d_value, d_features and d_weight (float) from value, features, weight, out, scores, statistics, d_out.
struct PsaProjectedBackward {
  static constexpr const char* kName = "psa_projected_backward";
  PsaProjected forward;

  void fields(Fields& f) { forward.fields(f); }
  Types infer(const Types& in) const {
    require_inputs(in, 7);
    return {in[0], in[1], f32(in[2].shape)};
  }
  double flops(const Types& in, const Types&) const { return 2 * flops_of(dims_of(forward, in)); }
  Launch lower(Lowering& l) const {
    const auto dims = dims_of(forward, l.in());
    return l.prepare([&](auto& ctx) -> Launch {
      auto attention = kernels::prepare_psa_projected_backward(ctx, dims);
      return {[=](const Buffers& b) {
                attention->run(b.raw(0), b.raw(1), b.raw(2), b.raw(3), b.raw(4), b.in(5), b.raw(6), b.outputs[0],
                               b.outputs[1], b.out(2), b.workspace);
              },
              attention->workspace_bytes()};
    });
  }
};

}  // namespace

Types PsaProjected::infer(const Types& in) const {
  require_inputs(in, 3);
  require_image(in[1], "features");
  require_rank(in[2], 4, "weight");
  require(in[2][1] == 1 && in[2][2] == 1 && in[2][3] == in[1][3], "the weight is {}, want [K,1,1,{}]", to_string(in[2]),
          in[1][3]);
  require(in[1].dtype == in[0].dtype && in[2].dtype == in[0].dtype, "value is {}, features {}, the weight {}",
          name(in[0].dtype), name(in[1].dtype), name(in[2].dtype));
  const Types out = psa.infer({in[0], {in[1].dtype, {in[1][0], in[1][1], in[1][2], in[2][0]}}});
  const auto dims = dims_of(*this, in);
  return {out[0], {in[0].dtype, {dims.score_elements() / dims.score_columns(), dims.score_columns()}}, out[1]};
}

Values PsaProjected::grad(Gradient& g) const {
  return g.apply("d_value", PsaProjectedBackward{*this},
                 {g.in(0), g.in(1), g.in(2), g.out(0), g.out(1), g.out(2), g.d_out(0)});
}

Launch PsaProjected::lower(Lowering& l) const {
  const auto dims = dims_of(*this, l.in());
  return l.prepare([&](auto& ctx) -> Launch {
    auto attention = kernels::prepare_psa_projected_forward(ctx, dims);
    return {[=](const Buffers& b) {
              attention->run(b.raw(0), b.raw(1), b.raw(2), b.outputs[0], b.outputs[1], b.out(2), b.workspace);
            },
            attention->workspace_bytes()};
  });
}

double PsaProjected::flops(const Types& in, const Types&) const {
  return flops_of(dims_of(*this, in));
}

void psa_projected_ops(Tables& tables) {
  tables.ops<PsaProjected, PsaProjectedBackward>();
}

}  // namespace psanet::layers
