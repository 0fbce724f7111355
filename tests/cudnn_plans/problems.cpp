#include "tests/cudnn_plans/problems.h"

#include "layers/conv2d.h"
#include "layers/passes/passes.h"
#include "models/model_file.h"
#include "models/training_step.h"

namespace psanet::tests {

using kernels::Scalar;
using kernels::cuda::ConvolutionPass;
using kernels::cuda::ConvolutionProblem;

std::vector<Graph> graphs_of(const std::string& name, Precision precision, int64_t train_batch) {
  const Target target(precision, true);
  const models::Model model = models::read_model(name);
  models::TrainingOptions options;
  options.aux_weight = model.aux_weight;
  options.target = target;
  std::vector<Graph> graphs;
  graphs.push_back(models::training_step(model.build({layers::Mode::train, train_batch}), options));
  graphs.push_back(layers::optimize_for_evaluation(model.build({layers::Mode::eval, 1}), target));
  return graphs;
}

Problems problems_of(const std::vector<std::string>& models, Precision precision, int64_t train_batch) {
  Problems found;
  const auto add = [&](const std::string& model, ConvolutionPass pass, const kernels::Conv2dDims& dims, Scalar out,
                       const kernels::Conv2dEpilogue& epilogue = {}) {
    ConvolutionProblem p;
    p.pass = pass;
    p.dims = dims;
    p.out = out;
    p.epilogue = epilogue;
    if (precision == Precision::tf32) p.math = kernels::Float32Math::tf32;
    found.try_emplace(describe(p), p, model);
  };
  for (const std::string& model : models) {
    for (const Graph& graph : graphs_of(model, precision, train_batch)) {
      for (const Node& node : graph.nodes()) {
        const Types in = graph.types(node.inputs);
        if (const auto* forward = node.as<layers::Conv2d>()) {
          const auto dims = forward->dims(in);
          add(model, ConvolutionPass::forward, dims, dims.scalar, {forward->bias, forward->residual, forward->relu});
        } else if (const auto* data = node.as<layers::Conv2dBackwardData>()) {
          const auto dims = data->dims(in);
          add(model, ConvolutionPass::backward_data, dims, dims.scalar);
        } else if (const auto* weights = node.as<layers::Conv2dBackwardWeights>()) {
          add(model, ConvolutionPass::backward_weights, weights->dims(in), Scalar::f32);
        }
      }
    }
  }
  return found;
}

}  // namespace psanet::tests
