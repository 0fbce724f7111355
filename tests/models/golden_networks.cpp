// Whole networks with hash weights: evaluation and one training step (golden net_*.safetensors).
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/rewrite.h"
#include "layers/passes/passes.h"
#include "models/training_step.h"
#include "tests/models/golden_network.h"
#include "tests/support/catch.h"
#include "tests/support/golden.h"
#include "tests/support/hash_values.h"

namespace psanet::tests {
namespace {

using nlohmann::json;

/// The value that a stage of the official network ends in.
Value stage(const Graph& graph, const std::string& name) {
  Value last;
  for (size_t id = 0; id < graph.nodes().size(); ++id) {
    const Node& node = graph.nodes()[id];
    if (!node.op()) continue;
    if (name == "psa.proj.in" && node.name == "psa.proj.0") return node.inputs[0];
    if (node.name == name || node.name.rfind(name + ".", 0) == 0) last = {static_cast<int>(id), 0};
  }
  return last;
}

/// The first image alone.
HostTensor first_image(const HostTensor& t) {
  Type type = t.type;
  type.shape[0] = 1;
  return {type, {t.values.begin(), t.values.begin() + type.elements()}};
}

void check_evaluation(GoldenNetwork& net) {
  const HostTensor image = net.image("input");
  CHECK(difference(image, net.file.channels_last("input"), {}) == "");
  const HostTensor wanted = net.file.channels_last("eval.logits");

  const auto run = [&](Graph graph) {
    auto program = net.program(std::move(graph));
    write_values(program->input("image"), image);
    program->run();
    return program;
  };
  Graph plain = net.model.build({layers::Mode::eval, net.batch});
  Graph watched = plain;
  std::vector<std::string> stages;
  const std::string prefix = "eval.stage.";
  for (const std::string& name : net.file.names()) {
    if (name.rfind(prefix, 0) != 0) continue;
    stages.push_back(name.substr(prefix.size()));
    watched.output(name, stage(plain, stages.back()));
  }
  {
    INFO("as the model file has it");
    const auto program = run(watched);
    CHECK(difference(read_values(program->output("logits")), wanted, {1e-4, 1e-4}) == "");
    for (const std::string& name : stages) {
      INFO(name);
      const HostTensor stage_wanted = net.file.channels_last(prefix + name);
      const HostTensor found = first_image(read_values(program->output(prefix + name)));
      CHECK(difference(found, stage_wanted, {1e-5 * largest(stage_wanted.values), 0}) == "");
    }
  }
  {
    INFO("optimised for evaluation");
    const auto program = run(layers::optimize_for_evaluation(plain));
    CHECK(difference(read_values(program->output("logits")), wanted, {1e-4, 1e-4}) == "");
  }
}

/// How gradients may differ (golden README, "Gradients of whole networks are a special case").
struct GradientTolerance {
  double norm = 2e-2, projection = 0.1, full = 6e-2, absolute = 0;
};

void check_gradients(GoldenNetwork& net, Program& program) {
  const auto names = net.file.metadata("grad_names").get<std::vector<std::string>>();
  const std::vector<double> norms = net.file.tensor("train.grad_norms_f64").values;
  const std::vector<double> projections = net.file.tensor("train.grad_proj_f64").values;
  GradientTolerance allow;
  if (net.tight) {
    allow = {3e-4, 3e-4, 3e-4, 1e-7};
  } else {
    allow.absolute = 1e-5 * largest(norms);  // some gradients vanish by construction
  }
  for (size_t i = 0; i < names.size(); ++i) {
    INFO(names[i]);
    const HostTensor found = net.file_order(names[i], program.gradient(names[i]));
    CHECK(norm(found.values) == Approx(norms[i]).epsilon(0).margin(allow.norm * norms[i] + allow.absolute));
    CHECK(hash_projection(names[i], net.seed, found.values) ==
          Approx(projections[i]).epsilon(0).margin(allow.projection * norms[i] + allow.absolute));
    if (!net.file.contains("train.grad." + names[i])) continue;
    const HostTensor wanted = net.file.tensor("train.grad." + names[i]);
    CHECK(distance(found.values, wanted.values) <= allow.full * norm(wanted.values) + allow.absolute);
  }
  // The model has no other parameters, and the file no others.
  for (const auto& [name, value] : program.graph().gradients()) {
    CHECK(std::find(names.begin(), names.end(), name) != names.end());
  }
}

void check_prediction(GoldenNetwork& net, const Graph& forward, const HostTensor& image) {
  auto program = net.program(prune_updates(forward));
  write_values(program->input("image"), image);
  program->run();
  const HostTensor logits = read_values(program->output("logits")), wanted = net.file.tensor("train.pred");
  const int64_t classes = logits[-1], pixels = wanted.type.elements();
  int64_t other = 0;
  for (int64_t p = 0; p < pixels; ++p) {
    int64_t best = 0;
    for (int64_t c = 1; c < classes; ++c) {
      if (logits.at(p * classes + c) > logits.at(p * classes + best)) best = c;
    }
    if (static_cast<double>(best) != wanted.at(p)) ++other;
  }
  CHECK(static_cast<double>(other) <= 0.002 * static_cast<double>(pixels));
}

void check_training(GoldenNetwork& net) {
  const HostTensor image = net.image("input"), labels = net.labels("target");
  CHECK(difference(labels, net.file.tensor("train.target"), {}) == "");
  const Graph forward = net.model.build({layers::Mode::train, net.batch});
  check_prediction(net, forward, image);

  models::TrainingOptions options;
  options.aux_weight = net.model.aux_weight;
  options.update = false;
  auto program = net.program(models::training_step(forward, options));
  net.reset();
  write_values(program->input("image"), image);
  write_values(program->input("label"), labels);
  program->run();

  const std::vector<double> losses = net.file.tensor("train.loss_f64").values;
  CHECK(read_values(program->output("loss.main")).at(0) == Approx(losses[0]).epsilon(0).margin(2e-5));
  CHECK(read_values(program->output("loss.aux")).at(0) == Approx(losses[1]).epsilon(0).margin(2e-5));
  CHECK(read_values(program->output("loss")).at(0) == Approx(losses[2]).epsilon(0).margin(2e-5));
  check_gradients(net, *program);
  int statistics = 0;
  for (const auto& [name, stored] : net.file.below("train.after.").tensors) {
    if (name.find("num_batches") != std::string::npos) continue;
    INFO(name);
    const HostTensor wanted = net.file.tensor("train.after." + name);
    CHECK(difference(read_values(net.parameters.tensor(name)), wanted, {1e-4 * largest(wanted.values), 0}) == "");
    ++statistics;
  }
  CHECK(statistics > 0);
}

void check_network(const std::string& name) {
  const auto dir = golden_dir();
  if (!dir) return;
  GoldenNetwork net(*dir, name);
  check_evaluation(net);
  check_training(net);
}

TEST_CASE("golden: PSANet-50, 5 classes: stages, logits, losses, gradients, statistics", "[golden]") {
  check_network("net_psanet50_c5_65");
}
TEST_CASE("golden: PSANet-50 with no unit near its kink: gradients to 3e-4", "[golden]") {
  check_network("net_psanet50_c5_65_tight");
}
TEST_CASE("golden: PSANet-50, 150 classes", "[golden]") {
  check_network("net_psanet50_c150_65");
}
TEST_CASE("golden: PSANet-50 with logits at feature resolution", "[golden]") {
  check_network("net_psanet50_c5_65_zoom1");
}
TEST_CASE("golden: PSPNet-50", "[golden]") {
  check_network("net_pspnet50_c5_65");
}

}  // namespace
}  // namespace psanet::tests
