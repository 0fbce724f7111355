#include "layers/passes/passes.h"

#include "engine/rewrite.h"
#include "layers/arithmetic.h"
#include "layers/batch_norm.h"
#include "layers/conv2d.h"
#include "layers/psa_projected.h"
#include "layers/relu.h"
#include "layers/resize.h"

namespace psanet::layers {

namespace {

/// The producer of `v` if it is a T that only this reader uses.
template <class T>
const Node* sole_producer(const Rewriter& r, Value v) {
  const Node& node = r.from.node(v);
  return node.as<T>() && v.output == 0 && r.used_once(v) ? &node : nullptr;
}

bool plain(const BatchNormApply& op) {
  return !op.residual && !op.relu;
}
bool plain(const Conv2d& op) {
  return !op.residual && !op.relu;
}

}  // namespace

Graph fuse_batch_norm(const Graph& graph) {
  return Rewriter(graph).run([](Rewriter& r, int id) -> std::optional<Values> {
    const Node& relu = r.from.node(id);
    if (!relu.as<Relu>()) return std::nullopt;
    const Value x = relu.inputs[0];

    // relu(batch_norm(x))
    if (const Node* norm = sole_producer<BatchNormApply>(r, x); norm && plain(*norm->as<BatchNormApply>())) {
      BatchNormApply fused = *norm->as<BatchNormApply>();
      fused.relu = true;
      return r.to.apply(norm->name, fused, r.mapped(norm->inputs));
    }
    // relu(batch_norm(x) + residual), whichever side the batch norm is on
    if (const Node* sum = sole_producer<Add>(r, x)) {
      for (size_t side : {size_t{0}, size_t{1}}) {
        const Node* norm = sole_producer<BatchNormApply>(r, sum->inputs[side]);
        if (!norm || !plain(*norm->as<BatchNormApply>())) continue;
        BatchNormApply fused = *norm->as<BatchNormApply>();
        fused.residual = fused.relu = true;
        Values inputs = r.mapped(norm->inputs);
        inputs.push_back(r.mapped(sum->inputs[1 - side]));
        return r.to.apply(norm->name, fused, inputs);
      }
    }
    return std::nullopt;
  });
}

Graph fold_batch_norm(const Graph& graph) {
  return Rewriter(graph).run([](Rewriter& r, int id) -> std::optional<Values> {
    const Node& node = r.from.node(id);
    const auto* norm = node.as<BatchNormApply>();
    if (!norm || norm->batch_statistics) return std::nullopt;
    const Node* conv = sole_producer<Conv2d>(r, node.inputs[0]);
    if (!conv || !plain(*conv->as<Conv2d>())) return std::nullopt;

    Conv2d fused = *conv->as<Conv2d>();
    Values fold_inputs = {conv->inputs[1], node.inputs[1], node.inputs[2], node.inputs[3], node.inputs[4]};
    if (fused.bias) fold_inputs.push_back(conv->inputs[2]);
    const Values folded =
        r.to.apply(conv->name + ".folded", FoldBatchNorm{norm->epsilon, fused.bias}, r.mapped(fold_inputs));

    Values inputs = {r.mapped(conv->inputs[0]), folded[0], folded[1]};
    if (norm->residual) inputs.push_back(r.mapped(node.inputs[5]));
    fused.bias = true;
    fused.residual = norm->residual;
    fused.relu = norm->relu;
    return r.to.apply(conv->name, fused, inputs);
  });
}

Graph subsample_pointwise(const Graph& graph) {
  return Rewriter(graph).run([](Rewriter& r, int id) -> std::optional<Values> {
    const Node& node = r.from.node(id);
    const auto* resize = node.as<Resize>();
    if (!resize || !resize->align_corners) return std::nullopt;
    const Node* conv = sole_producer<Conv2d>(r, node.inputs[0]);
    if (!conv) return std::nullopt;
    Conv2d op = *conv->as<Conv2d>();
    const Type weight = r.from.type(conv->inputs[1]), y = conv->outputs[0];
    const bool pointwise =
        weight[1] == 1 && weight[2] == 1 && op.stride == Size2{1, 1} && op.padding == Size2{0, 0} && !op.residual;
    if (!pointwise || resize->height < 2 || resize->width < 2) return std::nullopt;
    const int64_t step_h = (y[1] - 1) / (resize->height - 1), step_w = (y[2] - 1) / (resize->width - 1);
    const bool exact = step_h >= 1 && step_w >= 1 && step_h * (resize->height - 1) == y[1] - 1 &&
                       step_w * (resize->width - 1) == y[2] - 1;
    if (!exact) return std::nullopt;
    op.stride = {step_h, step_w};
    return r.to.apply(conv->name, op, r.mapped(conv->inputs));
  });
}

Graph project_attention(const Graph& graph) {
  return Rewriter(graph).run([](Rewriter& r, int id) -> std::optional<Values> {
    const Node& node = r.from.node(id);
    const auto* psa = node.as<Psa>();
    if (!psa) return std::nullopt;
    const Node* conv = sole_producer<Conv2d>(r, node.inputs[1]);
    if (!conv || !plain(*conv->as<Conv2d>())) return std::nullopt;
    const Conv2d& op = *conv->as<Conv2d>();
    const Type weight = r.from.type(conv->inputs[1]);
    const bool pointwise = weight[1] == 1 && weight[2] == 1 && op.stride == Size2{1, 1} && op.padding == Size2{0, 0};
    constexpr int64_t kUnit = 8;  // values in 16 bytes of bf16: what the kernels load at once
    if (!pointwise || op.bias || weight[3] % kUnit != 0) return std::nullopt;
    const Values fused =
        r.to.apply(node.name, PsaProjected{*psa}, r.mapped(Values{node.inputs[0], conv->inputs[0], conv->inputs[1]}));
    return Values{fused[0], fused[2]};
  });
}

Graph optimize_for_evaluation(const Graph& graph, Target target) {
  // Each pass must see use counts without what earlier ones left behind.
  Graph fast = prune(subsample_pointwise(prune(fold_batch_norm(prune(fuse_batch_norm(prune(graph)))))));
  fast = prune(multiply_before_enlarging(fast));
  if (target.gpu) fast = prune(project_attention(fast));
  return target.precision == Precision::bf16 ? prune(use_bf16(fast)) : fast;
}

}  // namespace psanet::layers
