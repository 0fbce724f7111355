// Passes change the nodes, not the numbers.
#include "layers/passes.h"

#include <map>
#include <nlohmann/json.hpp>

#include "engine/program.h"
#include "engine/random.h"
#include "engine/rewrite.h"
#include "tests/support/build.h"
#include "tests/support/catch.h"
#include "tests/support/graph_run.h"

namespace psanet::tests {
namespace {

using layers::Building;
using layers::Mode;
using nlohmann::json;

HostTensor noise(const std::string& name, const Type& type, double middle, double range) {
  HostTensor t(type);
  for (size_t i = 0; i < t.values.size(); ++i)
    t.values[i] = static_cast<float>(middle + range * random_unit(hash_name(name), i));
  return t;
}

/// A residual block as ResNet has it, a biased convolution with batch norm, and a branch that is only subsampled.
Graph small_network(Mode mode) {
  Graph g;
  const auto add = [&](const std::string& path, const std::string& word, const json& attributes, const Values& in) {
    return add_word(Building{g, mode, path}, word, attributes, in);
  };
  Value x = g.input("image", f32({2, 9, 7, 3}));
  x = add("conv1", "conv2d", {{"out_channels", 8}, {"kernel", 3}, {"padding", 1}}, {x});
  x = add("bn1", "batch_norm", json::object(), {x});
  const Value trunk = add("relu1", "relu", json::object(), {x});
  x = add("conv2", "conv2d", {{"out_channels", 8}, {"kernel", 3}, {"padding", 2}, {"dilation", 2}}, {trunk});
  x = add("bn2", "batch_norm", json::object(), {x});
  x = add("sum", "add", json::object(), {x, trunk});
  const Value block = add("relu2", "relu", json::object(), {x});
  x = add("conv3", "conv2d", {{"out_channels", 5}, {"bias", true}}, {block});
  x = add("bn3", "batch_norm", json::object(), {x});
  x = add("relu3", "relu", json::object(), {x});
  x = add("shrink", "resize", {{"height", 5}, {"width", 3}}, {x});  // every second row, every third column
  g.output("shrunk", x);
  g.output("block", block);
  return g;
}

std::map<std::string, int> count_ops(const Graph& graph) {
  std::map<std::string, int> counts;
  for (const Node& node : graph.nodes()) {
    if (node.op()) ++counts[node.op()->name()];
  }
  return counts;
}

HostTensors outputs_of(const Graph& graph) {
  Subject s;
  s.graph = graph;
  s.outputs = {"shrunk", "block"};
  s.inputs.emplace_back("image", noise("image", f32({2, 9, 7, 3}), 0, 2));
  for (Source::Kind kind : {Source::Kind::parameter, Source::Kind::state}) {
    for (Value v : graph.sources(kind)) {
      const std::string& name = graph.node(v).name;
      const bool positive = name.find("running_var") != std::string::npos;
      s.parameters.emplace_back(name, noise(name, graph.type(v), positive ? 1 : 0, 0.5));
    }
  }
  Device device = Device::cpu(2);
  const Outcome outcome = run(device, s);
  CHECK(outcome.repeatable);
  CHECK(outcome.allocations == 0);
  return outcome.values;
}

void check_same(const HostTensors& found, const HostTensors& wanted) {
  for (size_t i = 0; i < wanted.size(); ++i) CHECK(difference(found[i], wanted[i], {2e-6, 1e-5}) == "");
}

TEST_CASE("passes: batch norm, sum and ReLU become one node in training and give the same numbers") {
  const Graph plain = small_network(Mode::train), fused = prune(layers::fuse_batch_norm(plain));
  auto before = count_ops(plain), after = count_ops(fused);
  CHECK(before["relu"] == 3);
  CHECK(before["add"] == 1);
  CHECK(after["relu"] == 0);
  CHECK(after["add"] == 0);
  CHECK(after["batch_norm"] == 3);
  CHECK(after["batch_norm_update_running"] == 3);
  // The pass over memory is fused, the running statistics start from the same values in both.
  check_same(outputs_of(fused), outputs_of(plain));
}

TEST_CASE("passes: evaluation folds every batch norm into its convolution and samples before it convolves") {
  const Graph plain = small_network(Mode::eval), fast = layers::optimize_for_evaluation(plain);
  auto after = count_ops(fast);
  CHECK(after["conv2d"] == 3);
  CHECK(after["batch_norm"] == 0);
  CHECK(after["relu"] == 0);
  CHECK(after["add"] == 0);
  CHECK(after["resize"] == 0);
  check_same(outputs_of(fast), outputs_of(plain));
}

TEST_CASE("passes: the optimised program computes the folded weights once, not in every run") {
  const Graph fast = layers::optimize_for_evaluation(small_network(Mode::eval));
  Device device = Device::cpu(1);
  Parameters parameters(device);
  const Program program(device, fast, parameters);
  CHECK(program.launches() == 3);
}

TEST_CASE("passes: what others still read is not fused away") {
  Graph g = small_network(Mode::eval);
  Value watched;
  for (size_t id = 0; id < g.nodes().size(); ++id) {
    if (g.nodes()[id].name == "bn2") watched = {static_cast<int>(id), 0};
  }
  g.output("watched", watched);
  const Graph fast = layers::optimize_for_evaluation(g);
  auto after = count_ops(fast);
  CHECK(after["add"] == 1);
  CHECK(after["relu"] == 1);
  check_same(outputs_of(fast), outputs_of(g));
}

TEST_CASE("passes: an inexact or half-pixel resize stays behind the convolution") {
  for (const json& size :
       {json{{"height", 4}, {"width", 4}}, json{{"height", 5}, {"width", 4}, {"align_corners", false}}}) {
    Graph g;
    Value x = g.input("image", f32({2, 9, 7, 3}));
    x = add_word(Building{g, Mode::eval, "conv"}, "conv2d", {{"out_channels", 4}}, {x});
    g.output("block", x);
    x = add_word(Building{g, Mode::eval, "next"}, "conv2d", {{"out_channels", 4}}, {x});
    g.output("shrunk", add_word(Building{g, Mode::eval, "shrink"}, "resize", size, {x}));
    const Graph fast = layers::optimize_for_evaluation(g);
    CHECK(count_ops(fast)["resize"] == 1);
    check_same(outputs_of(fast), outputs_of(g));
  }
}

}  // namespace
}  // namespace psanet::tests
