// Passes change the nodes, not the numbers.
#include "layers/passes/passes.h"

#include <algorithm>
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
  for (const auto& [name, v] : graph.outputs()) s.outputs.push_back(name);
  for (Value v : graph.sources(Source::Kind::input)) {
    const Node& input = graph.node(v);
    s.inputs.emplace_back(input.name, noise(input.name, graph.type(v), 0, 2));
  }
  for (Source::Kind kind : {Source::Kind::parameter, Source::Kind::statistic}) {
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

/// A map of 3 channels at 9x7, and 2 x 4 channels enlarged to that, in the order given; then a convolution and what
/// ends it: nothing, or a batch norm, a sum with another map and a ReLU.
Graph head(const std::string& order, bool ends, const json& conv) {
  Graph g;
  const Value x = g.input("image", f32({2, 9, 7, 3}));
  Values parts;
  for (const char part : order) {
    const std::string name(1, part);
    if (part == 'x') {
      parts.push_back(x);
      continue;
    }
    const Value small = g.input("small." + name, f32({2, part == 'a' ? 5 : 2, part == 'a' ? 4 : 3, 4}));
    parts.push_back(
        add_word(Building{g, Mode::eval, "large." + name}, "resize", {{"height", 9}, {"width", 7}}, {small}));
  }
  Value y = parts.size() == 1 ? parts[0] : add_word(Building{g, Mode::eval, "join"}, "concat", json::object(), parts);
  y = add_word(Building{g, Mode::eval, "conv"}, "conv2d", conv, {y});
  if (ends) {
    const Value other = add_word(Building{g, Mode::eval, "other"}, "conv2d", {{"out_channels", 6}}, {x});
    y = add_word(Building{g, Mode::eval, "bn"}, "batch_norm", json::object(), {y});
    y = add_word(Building{g, Mode::eval, "sum"}, "add", json::object(), {y, other});
    y = add_word(Building{g, Mode::eval, "relu"}, "relu", json::object(), {y});
  }
  g.output("y", y);
  return g;
}

TEST_CASE("passes: a convolution of enlarged maps is made at their own places") {
  const json wide = {{"out_channels", 6}, {"kernel", 3}, {"padding", 1}},
             dilated = {{"out_channels", 6}, {"kernel", 3}, {"padding", 2}, {"dilation", 2}, {"bias", true}},
             pointwise = {{"out_channels", 6}};
  for (const std::string order : {"xa", "ax", "xab", "axb", "xxa", "a", "xax"}) {
    for (const json& conv : {wide, dilated, pointwise}) {
      for (const bool ends : {false, true}) {
        const Graph plain = head(order, ends, conv), fast = layers::optimize_for_evaluation(plain);
        INFO(order << " " << conv << (ends ? " and what ends it" : ""));
        const bool rewritten = order != "a" && order != "xax";  // nothing else, and two pieces
        const auto enlarged = std::count_if(order.begin(), order.end(), [](char part) { return part != 'x'; });
        auto after = count_ops(fast);
        CHECK(after["resize_taps"] == (rewritten ? enlarged : 0));
        CHECK(after["resize"] == (rewritten ? 0 : enlarged));
        check_same(outputs_of(fast), outputs_of(plain));
      }
    }
  }
}

TEST_CASE("passes: a convolution that strides or of a map enlarged by little stays") {
  Graph strides = head("xa", false, {{"out_channels", 6}, {"kernel", 3}, {"padding", 1}, {"stride", 2}});
  CHECK(count_ops(layers::optimize_for_evaluation(strides))["resize_taps"] == 0);
  Graph g;
  const Value x = g.input("image", f32({1, 9, 9, 3})), small = g.input("small", f32({1, 7, 7, 3}));
  const Value large = add_word(Building{g, Mode::eval, "large"}, "resize", {{"height", 9}, {"width", 9}}, {small});
  const Value joined = add_word(Building{g, Mode::eval, "join"}, "concat", json::object(), {x, large});
  g.output("y", add_word(Building{g, Mode::eval, "conv"}, "conv2d", {{"out_channels", 4}}, {joined}));
  CHECK(count_ops(layers::optimize_for_evaluation(g))["resize_taps"] == 0);
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
