// A thousand networks that no one thought of: plans, passes and the rewrites of a training step change no result.
#include <fmt/format.h>

#include <cstdlib>
#include <map>
#include <set>

#include "engine/autodiff.h"
#include "engine/rewrite.h"
#include "layers/arithmetic.h"
#include "layers/batch_norm.h"
#include "layers/cast.h"
#include "layers/conv2d.h"
#include "layers/cross_entropy.h"
#include "layers/passes/passes.h"
#include "layers/sgd.h"
#include "models/training_step.h"
#include "tests/support/catch.h"
#include "tests/support/network_results.h"

namespace psanet::tests {
namespace {

using layers::Mode;

Device& cpu() {
  static Device device = Device::cpu(1);
  return device;
}

/// How many, unless PSANET_RANDOM_NETWORKS says otherwise.
uint64_t networks() {
  const char* wanted = std::getenv("PSANET_RANDOM_NETWORKS");
  return wanted != nullptr ? std::strtoull(wanted, nullptr, 10) : 1000;
}

models::TrainingOptions gradients_only() {
  models::TrainingOptions options;
  options.update = false;
  return options;
}

/// The step as it is written down: no pass, no loss at low resolution but that of the network itself.
Graph plain_step(const Graph& forward) {
  Graph graph = forward;
  const Value logits = graph.output("logits");
  const Type scores = graph.type(logits);
  const Value label = graph.input("label", {DType::u8, {scores[0], scores[1], scores[2]}});
  const Values sums = graph.apply("loss.sum", layers::ResizeCrossEntropy{255, true}, {logits, label});
  const Value loss = graph.add("loss", layers::DivideOrZero{}, {sums[0], sums[1]});
  graph.clear_outputs();
  graph.output("loss", loss);
  graph.output("loss.main", loss);
  graph = prune(graph);
  const Values parameters = graph.sources(Source::Kind::parameter);
  const Values gradients = differentiate(graph, graph.output("loss"), parameters, layers::Add{});
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (gradients[i]) graph.gradient(graph.node(parameters[i]).name, gradients[i]);
  }
  return graph;
}

TEST_CASE("random networks: they hold what the passes look for") {
  std::map<std::string, int> found;
  for (uint64_t key = 0; key < 100; ++key) {
    const auto count = [&](const Graph& graph) {
      std::set<std::string> seen;
      for (const Node& node : graph.nodes()) {
        if (node.op()) seen.insert(node.op()->name());
        if (const auto* norm = node.as<layers::BatchNormApply>(); norm && norm->residual) seen.insert("fused residual");
        if (const auto* conv = node.as<layers::Conv2d>(); conv && conv->stride.h > 2) seen.insert("subsampled");
      }
      for (const std::string& name : seen) ++found[name];
    };
    count(layers::optimize_for_evaluation(random_network(key, Mode::eval, 2), Target(Precision::bf16, true)));
    count(models::training_step(random_network(key, Mode::train, 2), {}));
  }
  for (const char* name : {"fold_batch_norm", "fused residual", "subsampled", "resize_taps", "resize_taps_backward",
                           "psa_projected", "psa_backward", "cast", "batch_norm_backward"}) {
    INFO(name);
    CHECK(found[name] >= 5);
  }
}

TEST_CASE("random networks: evaluation is the same with and without plans and passes") {
  for (uint64_t key = 0; key < networks(); ++key) {
    INFO("network " << key);
    const Graph graph = random_network(key, Mode::eval, 2);
    const NetworkResults wanted = network_results(cpu(), graph, key, true);
    check_network(network_results(cpu(), graph, key), wanted, 0);
    check_network(network_results(cpu(), layers::optimize_for_evaluation(graph), key), wanted, 1e-4);
  }
}

TEST_CASE("random networks: losses and gradients are the same with and without plans and passes") {
  for (uint64_t key = 0; key < networks(); ++key) {
    INFO("network " << key);
    const Graph forward = random_network(key, Mode::train, 2);
    const Graph step = models::training_step(forward, gradients_only());
    const NetworkResults found = network_results(cpu(), step, key);
    check_network(found, network_results(cpu(), step, key, true), 0);
    check_network(found, network_results(cpu(), plain_step(forward), key), 2e-2);
  }
}

/// Every value of a kind that its reader does not take, or that is written and read by nobody.
std::string fault_of_bf16(const Graph& graph) {
  std::map<int, int> written;
  for (const Node& node : graph.nodes()) {
    const auto* sgd = node.as<layers::Sgd>();
    if (!sgd) continue;
    for (int i : node.op()->mutates(node.inputs.size())) ++written[node.inputs[static_cast<size_t>(i)].node];
  }
  for (size_t id = 0; id < graph.nodes().size(); ++id) {
    const Node& node = graph.nodes()[id];
    const bool is_written = written.count(static_cast<int>(id)) > 0;
    if (node.is(Source::Kind::derived) && !is_written) return node.name + " is a copy that nobody writes";
    if (node.is(Source::Kind::parameter) && node.outputs[0].dtype != DType::f32) return node.name + " is no float";
    const auto* cast = node.as<layers::Cast>();
    if (cast && graph.type(node.inputs[0]).dtype == cast->to) return node.name + " casts to what it has";
  }
  for (const Value v : graph.results()) {
    if (graph.type(v).dtype == DType::bf16) return graph.node(v).name + " is a result in bf16";
  }
  return "";
}

TEST_CASE("random networks: bf16 rewrites keep masters and results in float and leave no copy unwritten") {
  const Target target(Precision::bf16, true);
  for (uint64_t key = 0; key < networks(); ++key) {
    INFO("network " << key);
    const Graph train = random_network(key, Mode::train, 2);
    CHECK(fault_of_bf16(layers::optimize_for_evaluation(random_network(key, Mode::eval, 2), target)) == "");
    models::TrainingOptions options;
    options.target = target;
    CHECK(fault_of_bf16(models::training_step(train, options)) == "");
    options.accumulate = true;
    const Graph step = models::training_step(train, options);
    CHECK(fault_of_bf16(step) == "");
    CHECK(fault_of_bf16(models::accumulated_update(step, options)) == "");
    // By itself, without a model's promise that everything is trained.
    options = gradients_only();
    options.target = target;
    const Graph gradients = models::training_step(train, options);
    CHECK(fault_of_bf16(gradients) == "");
    CHECK(fault_of_bf16(prune(layers::let_sgd_write_copies(gradients))) == "");
  }
}

}  // namespace
}  // namespace psanet::tests
