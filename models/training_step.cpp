#include "models/training_step.h"

#include <cmath>

#include "engine/autodiff.h"
#include "engine/error.h"
#include "engine/rewrite.h"
#include "layers/arithmetic.h"
#include "layers/batch_norm.h"
#include "layers/cross_entropy.h"
#include "layers/passes.h"
#include "layers/resize.h"
#include "layers/sgd.h"

namespace psanet::models {

using namespace layers;

namespace {

/// Class scores before the resize that ends an output, and how that resize works.
struct LowResolution {
  Value scores;
  bool align_corners = true;
};

LowResolution before_resize(const Graph& graph, Value logits) {
  const Node& node = graph.node(logits);
  if (const auto* resize = node.as<Resize>()) return {node.inputs[0], resize->align_corners};
  return {logits, true};
}

struct Loss {
  Value mean;
  LowResolution from;
};

Loss mean_cross_entropy(Graph& graph, const std::string& name, Value logits, Value label, int64_t ignore) {
  const LowResolution low = before_resize(graph, logits);
  const Values sums = graph.apply(name + ".sum", ResizeCrossEntropy{ignore, low.align_corners}, {low.scores, label});
  return {graph.add(name, DivideOrZero{}, {sums[0], sums[1]}), low};
}

/// The graph with all losses as outputs, and without the full-resolution logits.
Graph with_losses(const Graph& forward, const TrainingOptions& options) {
  Graph result = forward;
  const Value logits = result.output("logits"), aux = result.output("aux");
  if (!logits) throw ConfigError("the model has no output \"logits\"");
  const Type scores = result.type(logits);

  const Value label = result.input("label", Type{DType::u8, {scores[0], scores[1], scores[2]}});
  const Loss main = mean_cross_entropy(result, "loss.main", logits, label, options.ignore);
  Value total = main.mean;
  result.clear_outputs();
  if (aux && options.aux_weight) {
    const Loss second = mean_cross_entropy(result, "loss.aux", aux, label, options.ignore);
    const Value weighted = result.add("loss.aux.weighted", Scale{*options.aux_weight}, {second.mean});
    total = result.add("loss", Add{}, {main.mean, weighted});
    result.output("loss.aux", second.mean);
  }
  result.output("loss.main", main.mean);
  result.output("loss", total);
  if (options.confusion) {
    const Value prediction =
        result.add("prediction", ResizeArgmax{scores[1], scores[2], main.from.align_corners}, {main.from.scores});
    result.output("confusion",
                  result.add("confusion", ConfusionCounts{scores[3], options.ignore}, {prediction, label}));
  }
  return result;
}

/// Updates of running statistics wait for the loss and are left out where it is not finite: with the optimiser doing
/// the same, a step that went wrong changes nothing.
Graph guard_running_statistics(const Graph& graph) {
  struct Update {
    std::string name;
    BatchNormUpdateRunning op;
    Values inputs;
  };
  std::vector<Update> updates;
  Graph result = Rewriter(graph).run([&](Rewriter& r, int id) -> std::optional<Values> {
    const Node& node = r.from.node(id);
    const auto* update = node.as<BatchNormUpdateRunning>();
    if (!update) return std::nullopt;
    updates.push_back({node.name, *update, r.mapped(node.inputs)});
    return Values{};
  });
  for (Update& update : updates) {
    update.op.guarded = true;
    update.inputs.push_back(result.output("loss"));
    result.apply(update.name, update.op, update.inputs);
  }
  return result;
}

}  // namespace

Graph training_step(const Graph& forward, const TrainingOptions& options) {
  Graph graph = prune(fuse_batch_norm(prune(with_losses(forward, options))));
  if (options.target.gpu) graph = prune(project_attention(graph));
  if (options.target.precision == Precision::bf16) graph = prune(use_bf16(graph));

  if (options.update) graph = guard_running_statistics(graph);

  const Values parameters = graph.sources(Source::Kind::parameter);
  const Values gradients = differentiate(graph, graph.output("loss"), parameters, Add{});
  if (!options.update) {
    for (size_t i = 0; i < parameters.size(); ++i) {
      if (gradients[i]) graph.output("grad." + graph.node(parameters[i]).name, gradients[i]);
    }
    return prune(graph);
  }

  Sgd sgd;
  sgd.momentum = options.momentum;
  sgd.guarded = true;
  Values inputs = {graph.input("rate", f32({1})), graph.output("loss")};
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (!gradients[i]) continue;
    const std::string name = graph.node(parameters[i]).name;
    const Type type = graph.type(parameters[i]);
    const FileLayout layout = graph.node(parameters[i]).source()->layout;
    sgd.rate_factor.push_back(options.rate_factor ? options.rate_factor(name) : 1.0);
    sgd.weight_decay.push_back(options.weight_decay * (options.decay_factor ? options.decay_factor(name) : 1.0));
    const Value momentum = graph.state("momentum." + name, type, Initializer::constant(0), layout);
    inputs.insert(inputs.end(), {parameters[i], momentum, gradients[i]});
  }
  graph.apply("sgd", sgd, inputs);
  return prune(let_sgd_write_copies(prune(graph)));
}

double poly_rate(double base, int64_t iteration, int64_t iterations, double power) {
  return base * std::pow(1.0 - static_cast<double>(iteration) / static_cast<double>(iterations), power);
}

}  // namespace psanet::models
