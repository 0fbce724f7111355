#include "layers/batch_norm.h"

#include "kernels/batch_norm.h"
#include "layers/check.h"
#include "layers/registry.h"

namespace psanet::layers {

namespace {

kernels::BatchNormDims dims_of(const Type& x, double epsilon) {
  return {rows(x), x[-1], static_cast<float>(epsilon)};
}

/// d_weight [C], d_bias [C]; inputs x, mean, variance, d_y, and y with ReLU.
struct BatchNormBackwardReduce {
  static constexpr const char* kName = "batch_norm_backward_reduce";
  BatchNormApply forward;

  void fields(Fields& f) { forward.fields(f); }
  Types infer(const Types& in) const {
    require_inputs(in, forward.relu ? 5 : 4);
    require_same(in[0], in[3], "x and d_y");
    return {f32({in[0][-1]}), f32({in[0][-1]})};
  }
  Launch lower(Lowering& l) const {
    const auto dims = dims_of(l.in(0), forward.epsilon);
    const kernels::BatchNormEpilogue epilogue{false, forward.relu};
    return l.launch_as(l.in(0).dtype, [=]<class T>(auto& ctx, const Buffers& b) {
      kernels::batch_norm_backward_reduce(ctx, dims, epilogue, b.in<T>(0), b.in<T>(4), b.in(1), b.in(2), b.in<T>(3),
                                          b.out(0), b.out(1));
    });
  }
};

/// Batch norm with parameters `weight`, `bias` and states `running_mean`, `running_var`.
struct BatchNormWord final : Layer {
  static constexpr const char* kName = "batch_norm";
  double epsilon = 1e-5, momentum = 0.1, scale = 1;

  void fields(Fields& f) override {
    f("epsilon", epsilon, "added to the variance");
    f("momentum", momentum, "weight of a new batch in the running statistics");
    f("scale", scale, "start of the weight; with 0 a residual block begins as the identity");
  }
  Value build(const Building& b, const Values& in) const override {
    Graph& g = b.graph;
    const Type x = g.type(in[0]);
    const Type vector = f32({x[-1]});
    const Value weight = g.parameter(b.path + ".weight", vector, Initializer::constant(scale));
    const Value bias = g.parameter(b.path + ".bias", vector, Initializer::constant(0));
    const Value running_mean = g.statistic(b.path + ".running_mean", b.path, vector, Initializer::constant(0));
    const Value running_var = g.statistic(b.path + ".running_var", b.path, vector, Initializer::constant(1));
    if (b.mode == Mode::eval) {
      return g.add(b.path, BatchNormApply{epsilon, false, false, false},
                   {in[0], running_mean, running_var, weight, bias});
    }
    const Values statistics = g.apply(b.path + ".statistics", BatchNormStatistics{}, {in[0]});
    g.apply(b.path + ".update", BatchNormUpdateRunning{momentum, rows(x)},
            {statistics[0], statistics[1], running_mean, running_var});
    return g.add(b.path, BatchNormApply{epsilon, true, false, false},
                 {in[0], statistics[0], statistics[1], weight, bias});
  }
};

}  // namespace

Types BatchNormStatistics::infer(const Types& in) const {
  require_inputs(in, 1);
  return {f32({in[0][-1]}), f32({in[0][-1]})};
}

Launch BatchNormStatistics::lower(Lowering& l) const {
  const auto dims = dims_of(l.in(0), 0);
  return l.launch_as(l.in(0).dtype, [=]<class T>(auto& ctx, const Buffers& b) {
    kernels::batch_norm_statistics(ctx, dims, b.in<T>(0), b.out(0), b.out(1));
  });
}

Types BatchNormApply::infer(const Types& in) const {
  require_inputs(in, residual ? 6 : 5);
  for (size_t i = 1; i < 5; ++i) require_channels(in[i], in[0][-1], "mean, variance, weight or bias");
  if (residual) require_same(in[0], in[5], "x and residual");
  return {in[0]};
}

Values BatchNormApply::grad(Gradient& g) const {
  const Value x = g.in(0), mean = g.in(1), variance = g.in(2), weight = g.in(3), d_y = g.d_out(0);
  Values reduce_in = {x, mean, variance, d_y};
  if (relu) reduce_in.push_back(g.out(0));
  const Values sums = g.apply("d_weight", BatchNormBackwardReduce{*this}, reduce_in);

  Values apply_in = {x, mean, variance, weight, sums[0], sums[1], d_y};
  if (relu) apply_in.push_back(g.out(0));
  BatchNormBackwardApply of_x{*this};
  of_x.forward.residual = residual && relu;  // without a ReLU the residual's gradient is d_y itself
  const Values d = g.apply("d_x", of_x, apply_in);
  const Value d_residual = of_x.forward.residual ? d[1] : d_y;
  return {d[0], {}, {}, sums[0], sums[1], residual ? d_residual : Value{}};
}

Launch BatchNormApply::lower(Lowering& l) const {
  const auto dims = dims_of(l.in(0), epsilon);
  const kernels::BatchNormEpilogue epilogue{residual, relu};
  return l.launch_as(l.in(0).dtype, [=]<class T>(auto& ctx, const Buffers& b) {
    kernels::batch_norm_apply(ctx, dims, epilogue, b.in<T>(0), b.in(1), b.in(2), b.in(3), b.in(4), b.in<T>(5),
                              b.out<T>(0));
  });
}

Types BatchNormBackwardApply::infer(const Types& in) const {
  require_inputs(in, forward.relu ? 8 : 7);
  require_same(in[0], in[6], "x and d_y");
  return forward.residual ? Types{in[0], in[0]} : Types{in[0]};
}

std::vector<Sharing> BatchNormBackwardApply::shares() const {
  // d_x must not overwrite d_y while the residual's gradient is still to be taken from it.
  return {{forward.residual ? 1 : 0, 6}};
}

Launch BatchNormBackwardApply::lower(Lowering& l) const {
  const auto dims = dims_of(l.in(0), forward.epsilon);
  const kernels::BatchNormEpilogue epilogue{forward.residual, forward.relu};
  const bool constant_statistics = !forward.batch_statistics;
  const auto all_rows = static_cast<double>(total_rows > 0 ? total_rows : dims.rows);
  return l.launch_as(l.in(0).dtype, [=]<class T>(auto& ctx, const Buffers& b) {
    kernels::batch_norm_backward_apply(ctx, dims, epilogue, all_rows, b.in<T>(0), b.in<T>(7), b.in(1), b.in(2), b.in(3),
                                       constant_statistics ? nullptr : b.in(4), constant_statistics ? nullptr : b.in(5),
                                       b.in<T>(6), b.out<T>(0), epilogue.residual ? b.out<T>(1) : nullptr);
  });
}

Types BatchNormUpdateRunning::infer(const Types& in) const {
  require_inputs(in, guarded ? 5 : 4);
  for (size_t i = 0; i < 4; ++i) require_channels(in[i], in[0][0], "mean, variance or running statistics");
  if (guarded) require(in[4] == f32({1}), "the loss is {}, want one value", to_string(in[4]));
  return {};
}

Launch BatchNormUpdateRunning::lower(Lowering& l) const {
  const int64_t channels = l.in(0)[0];
  const auto factor = static_cast<float>(momentum);
  const auto total_rows = static_cast<double>(rows);
  const bool with_guard = guarded;
  return l.launch([=](auto& ctx, const Buffers& b) {
    kernels::batch_norm_update_running(ctx, channels, total_rows, factor, b.in(0), b.in(1), b.template state<float>(2),
                                       b.template state<float>(3), with_guard ? b.in(4) : nullptr);
  });
}

Types FoldBatchNorm::infer(const Types& in) const {
  require_inputs(in, conv_bias ? 6 : 5);
  require(in[0].dtype == DType::f32, "the weight is {}, want f32", to_string(in[0]));
  for (size_t i = 1; i < in.size(); ++i) require_channels(in[i], in[0][0], "a vector");
  return {in[0], f32({in[0][0]})};
}

Launch FoldBatchNorm::lower(Lowering& l) const {
  const kernels::BatchNormDims dims{l.in(0).elements() / l.in(0)[0], l.in(0)[0], static_cast<float>(epsilon)};
  return l.launch([=](auto& ctx, const Buffers& b) {
    kernels::fold_batch_norm(ctx, dims, b.in(0), b.in(5), b.in(1), b.in(2), b.in(3), b.in(4), b.out(0), b.out(1));
  });
}

void batch_norm_ops(Tables& tables) {
  tables.ops<BatchNormStatistics, BatchNormApply, BatchNormBackwardReduce, BatchNormBackwardApply,
             BatchNormUpdateRunning, FoldBatchNorm>();
  tables.word<BatchNormWord>(
      "Batch normalisation; parameters `weight`, `bias`, statistics `running_mean`, `running_var`.");
}

}  // namespace psanet::layers
