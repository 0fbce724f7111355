#include "models/training_step.h"

#include <cmath>

#include "engine/autodiff.h"
#include "engine/error.h"
#include "engine/rewrite.h"
#include "layers/accumulate.h"
#include "layers/arithmetic.h"
#include "layers/batch_norm.h"
#include "layers/cross_entropy.h"
#include "layers/passes/passes.h"
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
  Value mean, sum, valid;
  LowResolution from;
};

Loss mean_cross_entropy(Graph& graph, const std::string& name, Value logits, Value label, int64_t ignore) {
  const LowResolution low = before_resize(graph, logits);
  const Values sums = graph.apply(name + ".sum", ResizeCrossEntropy{ignore, low.align_corners}, {low.scores, label});
  return {graph.add(name, DivideOrZero{}, {sums[0], sums[1]}), sums[0], sums[1], low};
}

/// The label's type: that of the class scores after their resize, or before it.
Type label_type(const Graph& graph, Value logits, bool at_scores) {
  const Type& scores = graph.type(at_scores ? before_resize(graph, logits).scores : logits);
  return {DType::u8, {scores[0], scores[1], scores[2]}};
}

/// What one update adds up over several batches: values, each with its sum.
class Sums {
 public:
  explicit Sums(Graph& graph) : graph_(graph) {}
  void add(const std::string& loss, Value value) { add(value, graph_.loss_sum(loss, graph_.type(value))); }
  void add_gradient(Value parameter, Value gradient) {
    add(gradient, graph_.kept_for(Source::Kind::gradient_sum, parameter));
  }
  /// Adds the node that does it in every run.
  void accumulate(const std::string& name) { graph_.apply(name, Accumulate{}, inputs_); }

 private:
  void add(Value value, Value sum) { inputs_.insert(inputs_.end(), {value, sum}); }
  Graph& graph_;
  Values inputs_;
};

/// The graph with all losses as outputs, and without the full-resolution logits. With `accumulate` also the output
/// "loss.sum", over the valid pixels and not divided by their number: main + aux_weight * aux.
Graph with_losses(const Graph& forward, const TrainingOptions& options) {
  Graph result = forward;
  const Value logits = result.output("logits"), aux = result.output("aux");
  if (!logits) throw ConfigError("the model has no output \"logits\"");
  const Type type = label_type(result, logits, options.loss_at_scores);
  if (aux && label_type(result, aux, options.loss_at_scores) != type) {
    throw ConfigError("the outputs \"logits\" and \"aux\" differ in size, so they cannot have the same labels");
  }

  const Type scores = result.type(logits);
  const Value label = result.input("label", type);
  const Loss main = mean_cross_entropy(result, "loss.main", logits, label, options.ignore);
  Value total = main.mean, sum = main.sum;
  result.clear_outputs();
  Value second_sum;
  if (aux && options.aux_weight) {
    const Loss second = mean_cross_entropy(result, "loss.aux", aux, label, options.ignore);
    const Value weighted = result.add("loss.aux.weighted", Scale{*options.aux_weight}, {second.mean});
    total = result.add("loss", Add{}, {main.mean, weighted});
    result.output("loss.aux", second.mean);
    if (options.accumulate) {  // the same labels, so the same number of valid pixels
      sum = result.add("loss.sum", Add{},
                       {main.sum, result.add("loss.aux.sum.weighted", Scale{*options.aux_weight}, {second.sum})});
      second_sum = second.sum;
    }
  }
  result.output("loss.main", main.mean);
  result.output("loss", total);
  if (options.accumulate) {
    Sums sums(result);
    sums.add("loss.main", main.sum);
    sums.add("loss.valid", main.valid);
    if (second_sum) sums.add("loss.aux", second_sum);
    sums.add("loss", sum);
    sums.accumulate("accumulate.losses");
    result.output("loss.sum", sum);
  }
  if (options.confusion) {
    const Value prediction =
        result.add("prediction", ResizeArgmax{type[1], type[2], main.from.align_corners}, {main.from.scores});
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

/// The optimiser: one op over all parameters that have a gradient.
void add_sgd(Graph& graph, const Values& parameters, const Values& gradients, const TrainingOptions& options) {
  Sgd sgd;
  sgd.momentum = options.momentum;
  sgd.guarded = true;
  Values inputs = {graph.input("rate", f32({1})), graph.output("loss")};
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (!gradients[i]) continue;
    const std::string name = graph.node(parameters[i]).name;
    sgd.rate_factor.push_back(options.rate_factor ? options.rate_factor(name) : 1.0);
    sgd.weight_decay.push_back(options.weight_decay * (options.decay_factor ? options.decay_factor(name) : 1.0));
    inputs.insert(inputs.end(), {parameters[i], graph.kept_for(Source::Kind::momentum, parameters[i]), gradients[i]});
  }
  graph.apply("sgd", sgd, inputs);
}

}  // namespace

Graph training_step(const Graph& forward, const TrainingOptions& options) {
  Graph graph = prune(fuse_batch_norm(prune(with_losses(forward, options))));
  graph = prune(multiply_before_enlarging(graph));
  if (options.target.gpu) graph = prune(project_attention(graph));
  if (options.target.precision == Precision::bf16) graph = prune(use_bf16(graph));

  if (options.update) graph = guard_running_statistics(graph);

  const Values parameters = graph.sources(Source::Kind::parameter);
  const Value loss = graph.output(options.accumulate ? "loss.sum" : "loss");
  const Values gradients = differentiate(graph, loss, parameters, Add{});
  if (options.accumulate) {
    Sums sums(graph);
    for (size_t i = 0; i < parameters.size(); ++i) {
      if (gradients[i]) sums.add_gradient(parameters[i], gradients[i]);
    }
    sums.accumulate("accumulate.gradients");
    return prune(graph);
  }
  if (!options.update) {
    for (size_t i = 0; i < parameters.size(); ++i) {
      if (gradients[i]) graph.gradient(graph.node(parameters[i]).name, gradients[i]);
    }
    return prune(graph);
  }
  add_sgd(graph, parameters, gradients, options);
  return prune(let_sgd_write_copies(prune(graph)));
}

Graph accumulated_update(const Graph& step, const TrainingOptions& options) {
  Graph graph;
  const auto loss_sum = [&](const std::string& loss) {
    const Value v = step.find({Source::Kind::loss_sum, loss});
    return v ? graph.loss_sum(loss, step.type(v)) : Value{};
  };
  const Value valid = loss_sum("loss.valid");
  Values sums = {valid};
  for (const char* name : {"loss", "loss.main", "loss.aux"}) {
    const Value sum = loss_sum(name);
    if (!sum) continue;
    sums.push_back(sum);
    graph.output(name, graph.add(std::string(name) + ".mean", DivideOrZero{}, {sum, valid}));
  }
  const Value share = graph.add("share", DivideOrZero{}, {graph.constant("one", f32({1}), 1), valid});  // of a pixel
  Values parameters, gradients;
  for (Value v : step.sources(Source::Kind::parameter)) {
    const Node& node = step.node(v);
    if (!step.find({Source::Kind::gradient_sum, node.name})) continue;
    parameters.push_back(graph.parameter(node.name, step.type(v), node.source()->initializer, node.source()->layout));
    sums.push_back(graph.kept_for(Source::Kind::gradient_sum, parameters.back()));
    gradients.push_back(graph.add("grad." + node.name, ScaleBy{}, {sums.back(), share}));
  }
  add_sgd(graph, parameters, gradients, options);
  graph.apply("clear", Clear{}, sums);
  return graph;
}

double poly_rate(double base, int64_t iteration, int64_t iterations, double power) {
  return base * std::pow(1.0 - static_cast<double>(iteration) / static_cast<double>(iterations), power);
}

}  // namespace psanet::models
