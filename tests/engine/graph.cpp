// The graph, its differentiation and its rewriting.
#include "engine/graph.h"

#include "engine/autodiff.h"
#include "engine/error.h"
#include "engine/rewrite.h"
#include "layers/arithmetic.h"
#include "layers/pool.h"
#include "layers/relu.h"
#include "layers/resize.h"
#include "layers/sgd.h"
#include "tests/support/build.h"
#include "tests/support/catch.h"
#include "tests/support/graph_run.h"

namespace psanet::tests {
namespace {

using layers::Add;
using layers::Relu;
using layers::Scale;

const Type kVector = f32({4});

template <class F>
std::string error_of(F f) {
  try {
    f();
  } catch (const ConfigError& e) {
    return e.what();
  }
  return "nothing was thrown";
}

/// The values of an output, with input "x" = 1, -2, 3, -4.
std::vector<double> value_of(const Graph& graph, const std::string& output) {
  Subject s;
  s.graph = graph;
  s.inputs.emplace_back("x", HostTensor(kVector, {1, -2, 3, -4}));
  s.outputs = {output};
  Device device = Device::cpu(1);
  return run(device, s).values[0].values;
}

std::vector<std::string> names(const Graph& graph) {
  std::vector<std::string> list;
  for (const Node& node : graph.nodes()) list.push_back(node.name);
  return list;
}

TEST_CASE("graph: nodes have the types their ops infer, in the order they were added") {
  Graph g;
  const Value x = g.input("x", f32({2, 9, 7, 3}));
  const Values pooled = g.apply("pool", layers::MaxPool{}, {x});
  REQUIRE(pooled.size() == 2);
  CHECK(g.type(pooled[0]) == f32({2, 5, 4, 3}));
  CHECK(g.type(pooled[1]) == Type{DType::u8, {2, 5, 4, 3}});
  CHECK(names(g) == std::vector<std::string>{"x", "pool"});
  CHECK(g.node(pooled[1]).as<layers::MaxPool>() != nullptr);
  CHECK(g.node(pooled[1]).as<Relu>() == nullptr);
  CHECK(g.node(x).is(Source::Kind::input));
}

TEST_CASE("graph: sources are found by name and kind, and share one space of names") {
  Graph g;
  g.input("x", kVector);
  const Value w = g.parameter("w", kVector, Initializer::constant(1));
  g.statistic("s", "norm", kVector, Initializer::constant(0));
  g.constant("c", kVector, 2);
  CHECK(g.find_parameter("w") == w);
  CHECK_FALSE(g.find_input("y"));
  CHECK(g.sources(Source::Kind::parameter) == Values{w});
  CHECK(error_of([&] { g.statistic("w", "norm", kVector, Initializer::constant(0)); }) ==
        "w: two nodes of this name; names must be unique");
}

TEST_CASE("graph: an op's complaint gets the node's name in front") {
  Graph g;
  const Value x = g.input("x", kVector), y = g.input("y", f32({5}));
  CHECK(error_of([&] {
          g.add("layer2.0.sum", Add{}, {x, y});
        }) == "layer2.0.sum (add): the two summands: f32[4] and f32[5] differ");
}

TEST_CASE("graph: uses count every reader, and outputs") {
  Graph g;
  const Value x = g.input("x", kVector);
  const Value y = g.add("y", Add{}, {x, x});
  const Value z = g.add("z", Scale{2}, {y});
  g.output("y", y);
  g.output("z", z);
  CHECK(g.use_counts() == std::vector<std::vector<int>>{{2}, {2}, {1}});
}

TEST_CASE("differentiate: a value that is read twice gets the sum of its gradients") {
  Graph g;
  const Value x = g.input("x", kVector);
  const Value twice = g.add("twice", Add{}, {x, x}), thrice = g.add("thrice", Scale{3}, {x});
  const Value sum = g.add("sum", Add{}, {twice, g.add("relu", Relu{}, {thrice})});
  add_gradients(g, dot(g, "loss", sum, g.constant("ones", kVector, 1)), {x});
  // d(2x + relu(3x))/dx
  CHECK(value_of(g, "grad.x") == std::vector<double>{5, 2, 5, 2});
}

TEST_CASE("differentiate: what the loss does not depend on has no gradient") {
  Graph g;
  const Value x = g.input("x", kVector), unused = g.parameter("unused", kVector, Initializer::constant(0));
  const Value beside = g.add("beside", Scale{2}, {unused});
  const Value loss = dot(g, "loss", x, g.constant("ones", kVector, 1));
  const Value later = g.parameter("later", kVector, Initializer::constant(0));
  const std::vector<Value> wanted = {x, unused, beside, later};
  const Values gradients = differentiate(g, loss, wanted, Add{});
  CHECK(gradients[0]);
  CHECK_FALSE(gradients[1]);
  CHECK_FALSE(gradients[2]);
  CHECK_FALSE(gradients[3]);
}

TEST_CASE("differentiate: no nodes are added for inputs that nobody wants the gradient of") {
  Graph g;
  const Value image = g.input("image", kVector), x = g.input("x", kVector);
  const Value early = g.add("early", Relu{}, {image});
  const Value loss = dot(g, "loss", g.add("sum", Add{}, {early, x}), g.constant("ones", kVector, 1));
  const std::vector<Value> wanted = {x};
  differentiate(g, loss, wanted, Add{});
  for (const std::string& name : names(g)) CHECK(name.find("early.") == std::string::npos);
}

TEST_CASE("differentiate: the gradient of an intermediate value is that of its readers") {
  Graph g;
  const Value x = g.input("x", kVector);
  const Value y = g.add("y", Scale{5}, {x});
  add_gradients(g, dot(g, "loss", g.add("relu", Relu{}, {y}), g.constant("twos", kVector, 2)), {y});
  CHECK(value_of(g, "grad.y") == std::vector<double>{2, 0, 2, 0});
}

TEST_CASE("differentiate: a loss behind an op without gradient is refused by name") {
  Graph g;
  const Value x = g.input("x", kVector), factor = g.input("factor", f32({1}));
  const Value y = g.add("part.scaled", layers::ScaleBy{}, {x, factor});
  const Value loss = dot(g, "loss", y, g.constant("ones", kVector, 1));
  const std::vector<Value> wanted = {x};
  CHECK(error_of([&] { differentiate(g, loss, wanted, Add{}); }) ==
        "part.scaled: no gradient is defined for op scale_by, but the loss depends on it");
}

TEST_CASE("differentiate: two losses of one graph can both be differentiated") {
  Graph g;
  const Value x = g.input("x", kVector), ones = g.constant("ones", kVector, 1);
  const Value first = dot(g, "first", g.add("a", Scale{2}, {x}), ones);
  const Value second = dot(g, "second", g.add("b", Scale{3}, {x}), ones);
  const std::vector<Value> wanted = {x};
  g.output("of first", differentiate(g, first, wanted, Add{})[0]);
  g.output("of second", differentiate(g, second, wanted, Add{})[0]);
  CHECK(value_of(g, "of first") == std::vector<double>{2, 2, 2, 2});
  CHECK(value_of(g, "of second") == std::vector<double>{3, 3, 3, 3});
}

TEST_CASE("rewrite: a rule replaces a node, everything else is copied") {
  Graph g;
  const Value x = g.input("x", kVector);
  const Value y = g.add("y", Scale{2}, {x});
  g.output("z", g.add("z", Add{}, {y, x}));
  const Graph rewritten = Rewriter(g).run([](Rewriter& r, int id) -> std::optional<Values> {
    const Node& node = r.from.node(id);
    if (!node.as<Scale>()) return std::nullopt;
    CHECK(r.used_once({id, 0}));
    return r.to.apply("y10", Scale{10}, r.mapped(node.inputs));
  });
  CHECK(names(rewritten) == std::vector<std::string>{"x", "y10", "z"});
  CHECK(value_of(rewritten, "z") == std::vector<double>{11, -22, 33, -44});
  CHECK(value_of(g, "z") == std::vector<double>{3, -6, 9, -12});
}

TEST_CASE("prune: what no output needs is gone, updates of kept state stay") {
  Graph g;
  const Value x = g.input("x", kVector), rate = g.input("rate", f32({1}));
  const Value w = g.parameter("w", kVector, Initializer::constant(0)), v = g.kept_for(Source::Kind::momentum, w);
  g.input("unread", kVector);
  g.add("dead", Relu{}, {x});
  g.output("y", g.add("y", Scale{2}, {x}));
  layers::Sgd sgd;
  sgd.rate_factor = sgd.weight_decay = {0};
  g.apply("sgd", sgd, {rate, w, v, x});
  CHECK(names(prune(g)) == std::vector<std::string>{"x", "rate", "w", "momentum.w", "y", "sgd"});
  CHECK(names(prune_updates(g)) == std::vector<std::string>{"x", "y"});
}

TEST_CASE("prune: an output that is no value is left as it is") {
  Graph g;
  g.output("y", g.add("y", Scale{2}, {g.input("x", kVector)}));
  g.output("nothing", Value{});
  CHECK_FALSE(prune(g).output("nothing"));
  CHECK(value_of(g, "y") == std::vector<double>{2, -4, 6, -8});
}

}  // namespace
}  // namespace psanet::tests
