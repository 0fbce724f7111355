// Graphs that no one thought of: results against the reference loops, gradients against differences. They are where a
// plan that reuses memory too early, or a pass that forgets a reader, shows.
#include <fmt/format.h>

#include <map>

#include "engine/random.h"
#include "layers/arithmetic.h"
#include "layers/concat.h"
#include "layers/matmul.h"
#include "layers/pool.h"
#include "layers/relu.h"
#include "layers/softmax.h"
#include "tests/support/build.h"
#include "tests/support/catch.h"
#include "tests/support/graph_run.h"
#include "tests/support/random_network.h"
#include "tests/support/references.h"

namespace psanet::tests {
namespace {

/// Two inputs "x" and "y", some 25 ops on values drawn at random, and an output "out" of 6 values that the last few
/// values flow into; "early" is another output, somewhere in the middle.
Graph random_graph(Dice& dice) {
  Graph g;
  const Type image = f32({1, 3, 3, 2});
  Values values = {g.input("x", image), g.input("y", image)};
  const int64_t count = 15 + dice.below(15);
  const auto any = [&] {
    // Mostly recent values: chains in which memory can be reused.
    const int64_t size = static_cast<int64_t>(values.size()),
                  back = dice.below(3) == 0 ? dice.below(size) : dice.below(std::min<int64_t>(size, 4));
    return values[static_cast<size_t>(size - 1 - back)];
  };
  const auto same_type = [&](Value v) {
    for (int attempt = 0; attempt < 20; ++attempt) {
      const Value other = any();
      if (g.type(other) == g.type(v)) return other;
    }
    return v;
  };
  for (int64_t i = 0; i < count; ++i) {
    const std::string name = fmt::format("n{}", i);
    const Value v = any();
    const Type type = g.type(v);
    switch (dice.below(8)) {
      case 0:
      case 1:
        values.push_back(g.add(name, layers::Add{}, {v, same_type(v)}));
        break;
      case 2:
        values.push_back(g.add(name, layers::Scale{dice.unit()}, {v}));
        break;
      case 3:
        values.push_back(g.add(name, layers::Relu{}, {v}));
        break;
      case 4:
        values.push_back(g.add(name, layers::Softmax{}, {v}));
        break;
      case 5:
        if (type[3] <= 4) values.push_back(g.add(name, layers::Concat{}, {v, v}));
        break;
      case 6:
        if (type[3] > 2) values.push_back(g.add(name, layers::Slice{-1, dice.below(type[3] - 1), 2}, {v}));
        break;
      default:
        values.push_back(g.add(name, layers::MaxPool{{3, 3}, {1, 1}, {1, 1}}, {v}));
        break;
    }
  }
  Values ends;
  for (size_t i = values.size() - 4; i < values.size(); ++i) {
    const std::string name = fmt::format("end{}", i);
    ends.push_back(g.add(name, layers::Slice{-1, 0, 2}, {values[i]}));
  }
  g.output("early", values[values.size() / 2]);
  g.output("out", g.add("joined", layers::Concat{}, ends));
  return g;
}

/// All values of the graph by the reference loops; only the first output of each node.
std::vector<HostTensor> evaluate(const Graph& g, const std::map<std::string, HostTensor>& inputs) {
  std::vector<HostTensor> values;
  for (const Node& node : g.nodes()) {
    if (!node.op()) {
      values.push_back(inputs.at(node.name));
      continue;
    }
    HostTensors in;
    for (Value v : node.inputs) in.push_back(values[static_cast<size_t>(v.node)]);
    values.push_back(find_reference(node.op()->name())(*node.op(), in)[0]);
  }
  return values;
}

HostTensor noise(Dice& dice, const Type& type) {
  HostTensor t(type);
  for (double& v : t.values) v = static_cast<float>(dice.unit());
  return t;
}

TEST_CASE("random graphs: results are those of the reference loops") {
  Device device = Device::cpu(2);
  for (uint64_t round = 0; round < 200; ++round) {
    Dice dice(hash_name("graph") + round);
    INFO("graph " << round);
    Subject s;
    s.graph = random_graph(dice);
    std::map<std::string, HostTensor> inputs;
    for (const char* name : {"x", "y"}) inputs[name] = noise(dice, f32({1, 3, 3, 2}));
    s.inputs.assign(inputs.begin(), inputs.end());
    s.outputs = {"early", "out"};
    const std::vector<HostTensor> wanted = evaluate(s.graph, inputs);
    const Outcome found = run(device, s);
    CHECK(found.repeatable);
    CHECK(found.allocations == 0);
    for (size_t o = 0; o < 2; ++o) {
      const HostTensor& reference = wanted[static_cast<size_t>(s.graph.output(s.outputs[o]).node)];
      CHECK(difference(found.values[o], reference, {1e-5 * std::max(1.0, largest(reference.values)), 1e-5}) == "");
    }
  }
}

TEST_CASE("random graphs: gradients are those of finite differences") {
  Device device = Device::cpu(2);
  for (uint64_t round = 0; round < 100; ++round) {
    Dice dice(hash_name("gradient") + round);
    INFO("graph " << round);
    Subject s;
    s.graph = random_graph(dice);
    const Graph forward = s.graph;
    std::map<std::string, HostTensor> inputs;
    for (const char* name : {"x", "y"}) inputs[name] = noise(dice, f32({1, 3, 3, 2}));
    const Value out = s.graph.output("out");
    const HostTensor upstream = noise(dice, s.graph.type(out));
    s.graph.clear_outputs();
    const Value loss = dot(s.graph, "loss", out, s.graph.input("upstream", upstream.type));
    Values wanted;
    for (const char* name : {"x", "y"}) wanted.push_back(s.graph.find_input(name));
    add_gradients(s.graph, loss, wanted);
    s.inputs.assign(inputs.begin(), inputs.end());
    s.inputs.emplace_back("upstream", upstream);
    for (const auto& [name, value] : s.graph.outputs()) s.outputs.push_back(name);
    const Outcome found = run(device, s);

    const auto loss_at = [&](const std::map<std::string, HostTensor>& at) {
      const HostTensor y = evaluate(forward, at)[static_cast<size_t>(out.node)];
      double sum = 0;
      for (size_t i = 0; i < y.values.size(); ++i) sum += y.values[i] * upstream.values[i];
      return sum;
    };
    for (size_t o = 0; o < s.outputs.size(); ++o) {
      const std::string name = s.outputs[o].substr(5);
      const HostTensor& gradient = found.values[o];
      for (size_t i = 0; i < gradient.values.size(); i += 4) {
        constexpr double kStep = 1e-6;
        auto up = inputs, down = inputs;
        up[name].values[i] += kStep;
        down[name].values[i] -= kStep;
        const double difference = (loss_at(up) - loss_at(down)) / (2 * kStep);
        CHECK(gradient.values[i] ==
              Approx(difference).epsilon(1e-4).margin(1e-4 * std::max(1.0, largest(gradient.values))));
      }
    }
  }
}

}  // namespace
}  // namespace psanet::tests
