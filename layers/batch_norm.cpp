#include "layers/batch_norm.h"

#include "kernels/batch_norm.h"
#include "layers/check.h"

namespace psanet::layers {

namespace {
kernels::BatchNormDims dims_of(const Type& x, double epsilon) {
  return {rows(x), x[-1], static_cast<float>(epsilon)};
}
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

void BatchNormApply::fields(Fields& f) {
  f("epsilon", epsilon, "added to the variance");
  f("batch_statistics", batch_statistics, "mean and variance are those of x");
  f("residual", residual, "adds a residual input (set by passes)");
  f("relu", relu, "ends in a ReLU (set by passes)");
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
  const Values sums = g.apply("d_weight", BatchNormBackwardReduce{epsilon, relu}, reduce_in);

  Values apply_in = {x, mean, variance, weight, sums[0], sums[1], d_y};
  if (relu) apply_in.push_back(g.out(0));
  // Without a ReLU the residual's gradient is d_y itself.
  const bool d_residual_computed = residual && relu;
  const Values d =
      g.apply("d_x", BatchNormBackwardApply{epsilon, batch_statistics, d_residual_computed, relu}, apply_in);
  const Value d_residual = d_residual_computed ? d[1] : d_y;
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

void BatchNormBackwardReduce::fields(Fields& f) {
  f("epsilon", epsilon, "added to the variance");
  f("relu", relu, "d_y counts only where y > 0");
}

Types BatchNormBackwardReduce::infer(const Types& in) const {
  require_inputs(in, relu ? 5 : 4);
  require_same(in[0], in[3], "x and d_y");
  return {f32({in[0][-1]}), f32({in[0][-1]})};
}

Launch BatchNormBackwardReduce::lower(Lowering& l) const {
  const auto dims = dims_of(l.in(0), epsilon);
  const kernels::BatchNormEpilogue epilogue{false, relu};
  return l.launch_as(l.in(0).dtype, [=]<class T>(auto& ctx, const Buffers& b) {
    kernels::batch_norm_backward_reduce(ctx, dims, epilogue, b.in<T>(0), b.in<T>(4), b.in(1), b.in(2), b.in<T>(3),
                                        b.out(0), b.out(1));
  });
}

void BatchNormBackwardApply::fields(Fields& f) {
  f("epsilon", epsilon, "added to the variance");
  f("batch_statistics", batch_statistics, "mean and variance are those of x");
  f("residual", residual, "also gives the residual's gradient");
  f("relu", relu, "d_y counts only where y > 0");
  f("total_rows", total_rows, "number of samples averaged over all ranks; 0: the rows of x");
}

Types BatchNormBackwardApply::infer(const Types& in) const {
  require_inputs(in, relu ? 8 : 7);
  require_same(in[0], in[6], "x and d_y");
  return residual ? Types{in[0], in[0]} : Types{in[0]};
}

std::vector<Sharing> BatchNormBackwardApply::shares() const {
  // d_x must not overwrite d_y while the residual's gradient is still to be taken from it.
  return residual ? std::vector<Sharing>{{1, 6}} : std::vector<Sharing>{{0, 6}};
}

Launch BatchNormBackwardApply::lower(Lowering& l) const {
  const auto dims = dims_of(l.in(0), epsilon);
  const kernels::BatchNormEpilogue epilogue{residual, relu};
  const bool constant_statistics = !batch_statistics, with_residual = residual;
  const auto all_rows = static_cast<double>(total_rows > 0 ? total_rows : dims.rows);
  return l.launch_as(l.in(0).dtype, [=]<class T>(auto& ctx, const Buffers& b) {
    kernels::batch_norm_backward_apply(ctx, dims, epilogue, all_rows, b.in<T>(0), b.in<T>(7), b.in(1), b.in(2), b.in(3),
                                       constant_statistics ? nullptr : b.in(4), constant_statistics ? nullptr : b.in(5),
                                       b.in<T>(6), b.out<T>(0), with_residual ? b.out<T>(1) : nullptr);
  });
}

void BatchNormUpdateRunning::fields(Fields& f) {
  f("momentum", momentum, "weight of the new value");
  f("rows", rows, "number of samples averaged");
  f("guarded", guarded, "the fifth input is the loss; nothing changes where it is not finite");
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

void FoldBatchNorm::fields(Fields& f) {
  f("epsilon", epsilon, "added to the variance");
  f("conv_bias", conv_bias, "the convolution has a bias");
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

}  // namespace psanet::layers
