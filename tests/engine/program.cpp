// A graph made ready to run.
#include "engine/program.h"

#include <cmath>
#include <cstdlib>
#include <new>
#include <stdexcept>

#include "engine/error.h"
#include "layers/arithmetic.h"
#include "layers/concat.h"
#include "layers/conv2d.h"
#include "layers/pool.h"
#include "layers/relu.h"
#include "layers/sgd.h"
#include "tests/support/allocation_count.h"
#include "tests/support/catch.h"

namespace psanet::tests {
namespace {

using layers::Add;
using layers::Relu;
using layers::Scale;

const Type kVector = f32({4});
using Floats = std::vector<float>;

/// y = x, counting how often it ran.
struct Counting {
  static constexpr const char* kName = "counting";
  std::shared_ptr<int> runs = std::make_shared<int>(0);
  void fields(Fields&) {}
  Types infer(const Types& in) const { return {in[0]}; }
  Launch lower(Lowering& l) const {
    const int64_t count = l.in(0).elements();
    return {[counter = runs, count](const Buffers& b) {
      ++*counter;
      std::copy(b.in(0), b.in(0) + count, b.out(0));
    }};
  }
};

/// Two outputs that nobody has to read; the second may be left out.
struct Pair {
  static constexpr const char* kName = "pair";
  std::shared_ptr<std::vector<bool>> given = std::make_shared<std::vector<bool>>();
  void fields(Fields&) {}
  Types infer(const Types& in) const { return {in[0], in[0]}; }
  Launch lower(Lowering&) const {
    return {[seen = given](const Buffers& b) { *seen = {b.outputs[0] != nullptr, b.outputs[1] != nullptr}; }};
  }
  std::vector<int> skippable() const { return {1}; }
};

template <class E, class F>
std::string error_of(F f) {
  try {
    f();
  } catch (const E& e) {
    return e.what();
  }
  return "nothing of that kind was thrown";
}

layers::Sgd plain_sgd() {
  layers::Sgd sgd;
  sgd.momentum = 0;
  sgd.rate_factor = {1};
  sgd.weight_decay = {0};
  return sgd;
}

TEST_CASE("program: inputs keep their content, outputs follow them") {
  Device device = Device::cpu(1);
  Graph g;
  const Value x = g.input("x", kVector), y = g.input("y", kVector);
  g.output("sum", g.add("sum", Add{}, {x, y}));
  g.output("same", x);
  Parameters parameters(device);
  Program program(device, g, parameters);
  CHECK(program.has_input("x"));
  CHECK_FALSE(program.has_input("z"));
  program.input("x").set(Floats{1, 2, 3, 4});
  program.input("y").set(Floats{10, 20, 30, 40});
  program.run();
  CHECK(program.output("sum").get<float>() == Floats{11, 22, 33, 44});
  program.input("y").set(Floats{0, 0, 0, 1});
  program.run();
  CHECK(program.output("sum").get<float>() == Floats{1, 2, 3, 5});
  CHECK(program.output("same").get<float>() == Floats{1, 2, 3, 4});
  CHECK(error_of<std::logic_error>([&] { program.input("z"); }) == "the program has no input named z");
  CHECK(error_of<std::logic_error>([&] { program.output("z"); }) == "the program has no output named z");
}

TEST_CASE("program: a parameter is no input, and a wrong number or type of values is refused") {
  Device device = Device::cpu(1);
  Graph g;
  g.output("y", g.add("y", Add{}, {g.input("x", kVector), g.parameter("w", kVector, Initializer::constant(1))}));
  Parameters parameters(device);
  Program program(device, g, parameters);
  CHECK(error_of<std::logic_error>([&] { program.input("w"); }) == "the program has no input named w");
  CHECK_FALSE(program.has_input("w"));
  CHECK(error_of<std::logic_error>([&] {
          program.input("x").set(Floats{1, 2});
        }) == "tensor f32[4] accessed as 2 values of f32");
  CHECK(error_of<std::logic_error>([&] { program.input("x").get<int64_t>(); }) ==
        "tensor f32[4] accessed as 4 values of i64");
}

TEST_CASE("program: what depends on parameters alone is computed once, and again when they were changed") {
  Device device = Device::cpu(1);
  Graph g;
  const Counting once, always;
  const Value w = g.parameter("w", kVector, Initializer::constant(2));
  const Value folded = g.add("folded", once, {g.add("scaled", Scale{3}, {w})});
  g.output("y", g.add("y", Add{}, {g.add("seen", always, {g.input("x", kVector)}), folded}));
  Parameters parameters(device);
  Program program(device, g, parameters);
  CHECK(program.launches() == 2);
  for (int i = 0; i < 5; ++i) program.run();
  CHECK(*once.runs == 1);
  CHECK(*always.runs == 5);
  CHECK(program.output("y").get<float>() == Floats{6, 6, 6, 6});
  Tensor(parameters.tensor("w")).set(Floats{1, 0, 0, 0});
  program.run();
  CHECK(*once.runs == 2);
  CHECK(program.output("y").get<float>() == Floats{3, 0, 0, 0});
}

TEST_CASE("program: what an update changes is not computed once") {
  Device device = Device::cpu(1);
  Graph g;
  const Value w = g.parameter("w", kVector, Initializer::constant(1));
  const Value v = g.kept_for(Source::Kind::momentum, w);
  g.output("y", g.add("y", Scale{10}, {w}));
  g.apply("sgd", plain_sgd(), {g.input("rate", f32({1})), w, v, g.input("g", kVector)});
  Parameters parameters(device);
  Program program(device, g, parameters);
  program.input("rate").set(Floats{1});
  program.input("g").set(Floats{1, 0, 0, 0});
  program.run();
  CHECK(program.output("y").get<float>() == Floats{10, 10, 10, 10});
  program.run();
  CHECK(program.output("y").get<float>() == Floats{0, 10, 10, 10});
  CHECK(parameters.tensor("w").get<float>() == Floats{-1, 1, 1, 1});
}

TEST_CASE("program: packed weights follow the parameters") {
  Device device = Device::cpu(2);
  Graph g;
  const Value w = g.parameter("w", f32({1, 1, 1, 4}), Initializer::constant(1));
  g.output("y", g.add("conv", layers::Conv2d{}, {g.input("x", f32({1, 1, 1, 4})), w}));
  Parameters parameters(device);
  Program program(device, g, parameters);
  program.input("x").set(Floats{1, 2, 3, 4});
  program.run();
  CHECK(program.output("y").get<float>() == Floats{10});
  Tensor(parameters.tensor("w")).set(Floats{0, 0, 0, 2});
  program.run();
  CHECK(program.output("y").get<float>() == Floats{8});
}

TEST_CASE("program: reading a value after its update in place is refused, before it is not") {
  Device device = Device::cpu(1);
  Graph g;
  const Value w = g.parameter("w", kVector, Initializer::constant(1));
  const Value v = g.kept_for(Source::Kind::momentum, w);
  g.apply("optimiser", plain_sgd(), {g.input("rate", f32({1})), w, v, g.input("g", kVector)});
  g.output("y", g.add("late", Scale{1}, {w}));
  Parameters parameters(device);
  CHECK(error_of<std::logic_error>([&] { Program(device, g, parameters); }) ==
        "late reads w after optimiser has updated it");
}

TEST_CASE("program: running again allocates nothing") {
  if (!allocations_are_counted()) return;
  Device device = Device::cpu(2);
  Graph g;
  const Value x = g.input("x", f32({2, 17, 13, 8}));
  const Value w = g.parameter("w", f32({16, 3, 3, 8}), Initializer::uniform(1));
  const Value y = g.add("conv", layers::Conv2d{{1, 1}, {1, 1}, {1, 1}, false, false, false}, {x, w});
  g.output("y", g.add("pool", layers::MaxPool{}, {g.add("relu", Relu{}, {y})}));
  Parameters parameters(device);
  Program program(device, g, parameters);
  program.run();
  program.run();
  const int64_t before = allocations();
  for (int i = 0; i < 10; ++i) program.run();
  CHECK(allocations() == before);
}

TEST_CASE("program: the counter of allocations counts") {
  if (!allocations_are_counted()) {
    WARN("SKIPPED: allocations cannot be counted here");
    return;
  }
  // Through volatile, or the compiler sees that nobody uses the memory.
  void* volatile memory = nullptr;
  const auto counted = [&](auto allocate) {
    const int64_t before = allocations();
    memory = allocate();
    return allocations() - before;
  };
  CHECK(counted([] { return std::malloc(10); }) == 1);
  std::free(memory);
  CHECK(counted([] { return std::calloc(3, 10); }) == 1);
  std::free(memory);
  CHECK(counted([] { return std::aligned_alloc(64, 64); }) == 1);
  std::free(memory);
  CHECK(counted([] { return ::operator new(10); }) == 1);
  ::operator delete(memory);
  CHECK(counted([] { return ::operator new (64, std::align_val_t{64}); }) == 1);
  ::operator delete (memory, std::align_val_t{64});
  Device device = Device::cpu(1);
  const int64_t before = allocations();
  const Storage storage(device, 1000);
  CHECK(allocations() == before + 1);
}

TEST_CASE("program: an op may take the memory of an input that nobody reads later, and of no other") {
  Device device = Device::cpu(1);
  const Type large = f32({1000});
  const int64_t bytes = 4096;  // 4000, rounded up to kAlignment_bytes
  Graph chain;
  Value v = chain.input("x", large);
  for (int i = 0; i < 10; ++i) v = chain.add("relu" + std::to_string(i), Relu{}, {v});
  chain.output("y", v);
  Parameters parameters(device);
  CHECK(Program(device, chain, parameters).memory().arena_bytes == bytes);

  Graph kept;
  const Value a = kept.add("a", Relu{}, {kept.input("x", large)});
  const Value b = kept.add("b", Scale{2}, {a});
  kept.output("y", kept.add("c", Add{}, {b, a}));
  Program program(device, kept, parameters);
  CHECK(program.memory().arena_bytes == 2 * bytes);
  program.input("x").set(Floats(1000, 3));
  program.run();
  CHECK(program.output("y").get<float>() == Floats(1000, 9));
}

/// y0 = a + 1, y1 = b + 1; both may lie in either input.
struct Both {
  static constexpr const char* kName = "both";
  void fields(Fields&) {}
  Types infer(const Types& in) const { return {in[0], in[1]}; }
  Launch lower(Lowering& l) const {
    return {[n = l.in(0).elements()](const Buffers& b) {
      for (int64_t i = 0; i < n; ++i) {
        const float first = b.in(0)[i] + 1, second = b.in(1)[i] + 1;
        b.out(0)[i] = first;
        b.out(1)[i] = second;
      }
    }};
  }
  std::vector<Sharing> shares() const { return {{0, 0}, {0, 1}, {1, 0}, {1, 1}}; }
};

/// y = x[i] * w[n-1-i]: may lie in x, but not in w.
struct Mirrored {
  static constexpr const char* kName = "mirrored";
  void fields(Fields&) {}
  Types infer(const Types& in) const { return {in[0]}; }
  Launch lower(Lowering& l) const {
    return {[n = l.in(0).elements()](const Buffers& b) {
      for (int64_t i = 0; i < n; ++i) b.out(0)[i] = b.in(0)[i] * b.in(1)[n - 1 - i];
    }};
  }
  std::vector<Sharing> shares() const { return {{0, 0}}; }
};

TEST_CASE("program: two outputs never lie in the memory of one value that is read twice") {
  Device device = Device::cpu(1);
  Graph g;
  const Value a = g.add("a", Relu{}, {g.input("x", kVector)});
  const Values both = g.apply("both", Both{}, {a, a});
  g.output("y", g.add("y", layers::Concat{0}, both));
  Parameters parameters(device);
  Program program(device, g, parameters);
  program.input("x").set(Floats{1, 2, 3, 4});
  program.run();
  CHECK(program.output("y").get<float>() == Floats{2, 3, 4, 5, 2, 3, 4, 5});
}

TEST_CASE("program: an op that reads a value in two ways takes its memory only if both ways allow it") {
  Device device = Device::cpu(1);
  Graph g;
  const Value a = g.add("a", Relu{}, {g.input("x", kVector)});
  g.output("y", g.add("y", Mirrored{}, {a, a}));
  Parameters parameters(device);
  Program program(device, g, parameters);
  program.input("x").set(Floats{1, 2, 3, 4});
  program.run();
  CHECK(program.output("y").get<float>() == Floats{4, 6, 6, 4});
}

TEST_CASE("program: planning sixty thousand nodes takes a count of steps that grows like the nodes") {
  const auto plan = [](int nodes) {
    Graph g;
    Value v = g.input("x", kVector);
    std::vector<PlannedCall> runs;
    for (int i = 0; i < nodes; ++i) {
      v = g.add("n", i % 3 == 0 ? Op(Scale{2}) : Op(Relu{}), {v});
      runs.push_back({v.node});
    }
    g.output("y", v);
    return plan_program(g, {}, runs);
  };
  const ProgramPlan small = plan(7500), large = plan(60000);
  CHECK(large.arena_bytes == small.arena_bytes);
  CHECK(large.lookups < 8 * 2 * small.lookups);
  Device device = Device::cpu(1);
  Graph g;
  Value v = g.input("x", kVector);
  for (int i = 0; i < 60000; ++i) v = g.add("n", Relu{}, {v});
  g.output("y", v);
  Parameters parameters(device);
  Program program(device, g, parameters);
  program.input("x").set(Floats{1, -2, 3, -4});
  program.run();
  CHECK(program.output("y").get<float>() == Floats{1, 0, 3, 0});
}

TEST_CASE("program: what one program updates another one computes anew by itself") {
  Device device = Device::cpu(1);
  Graph training, evaluation;
  {
    const Value w = training.parameter("w", kVector, Initializer::constant(1));
    const Value v = training.kept_for(Source::Kind::momentum, w);
    training.apply("sgd", plain_sgd(), {training.input("rate", f32({1})), w, v, training.input("g", kVector)});
  }
  const Counting once;
  const Value w = evaluation.parameter("w", kVector, Initializer::constant(1));
  const Value folded = evaluation.add("folded", once, {w});
  evaluation.output("y", evaluation.add("y", Add{}, {evaluation.input("x", kVector), folded}));
  Parameters parameters(device);
  Program step(device, training, parameters), eval(device, evaluation, parameters);
  step.input("rate").set(Floats{1});
  step.input("g").set(Floats{1, 2, 3, 4});
  eval.run();
  eval.run();
  CHECK(*once.runs == 1);
  step.run();
  eval.run();
  CHECK(eval.output("y").get<float>() == Floats{0, -1, -2, -3});
  CHECK(*once.runs == 2);
  eval.run();
  CHECK(*once.runs == 2);
}

TEST_CASE("program: the memory report adds up and is known before anything is allocated") {
  Device device = Device::cpu(1);
  Graph g;
  const Value x = g.input("x", f32({100})), w = g.parameter("w", f32({100}), Initializer::constant(1));
  const Value once = g.add("once", Scale{2}, {w});
  const Value a = g.add("a", Add{}, {x, once});
  g.output("y", g.add("b", layers::Concat{0}, {a, a}));
  Parameters parameters(device);
  const Program program(device, g, parameters);
  const MemoryReport& m = program.memory();
  const int64_t one = 512, two = 1024;  // 400 and 800, rounded up to kAlignment_bytes
  CHECK(m.parameter_bytes == one);
  CHECK(m.input_bytes == one);
  CHECK(m.constant_bytes == one);
  CHECK(m.retained_bytes == 0);
  CHECK(m.arena_live_bytes == one + two);
  CHECK(m.arena_bytes >= m.arena_live_bytes);
  CHECK(m.unshared_bytes == one + two);
  CHECK(m.peak_bytes() == 3 * one + m.arena_bytes);
}

TEST_CASE("program: an output that nobody reads has memory unless its op can leave it out") {
  Device device = Device::cpu(1);
  const Pair pair;
  Graph g;
  const Values both = g.apply("pair", pair, {g.input("x", kVector)});
  for (size_t read : {size_t{0}, size_t{1}}) {
    g.clear_outputs();
    g.output("y", both[read]);
    Parameters parameters(device);
    Program program(device, g, parameters);
    program.run();
    CHECK(*pair.given == std::vector<bool>{true, read == 1});
  }
}

TEST_CASE("program: a traced run gives the same numbers and names the first value that is not finite") {
  Device device = Device::cpu(1);
  Graph g;
  const Value x = g.input("x", kVector);
  const Value a = g.add("part.a", Scale{2}, {x});
  const Value b = g.add("part.b", Scale{1e38}, {a});
  g.output("y", g.add("part.c", Add{}, {b, b}));
  Parameters parameters(device);
  Program program(device, g, parameters);
  program.input("x").set(Floats{0, 1, 20, -30});
  std::vector<std::string> names;
  std::string first;
  int64_t place = -1;
  program.run_traced([&](const TraceEntry& entry) {
    names.push_back(entry.node.name);
    CHECK(entry.in[0] == kVector);
    CHECK(entry.milliseconds >= 0);
    if (first.empty() && entry.non_finite_output >= 0) {
      first = entry.node.name;
      place = entry.non_finite_index;
    }
  });
  CHECK(names == std::vector<std::string>{"part.a", "part.b", "part.c"});
  CHECK(first == "part.b");
  CHECK(place == 2);
  const Floats traced = program.output("y").get<float>();
  program.run();
  CHECK(program.output("y").get<float>() == traced);

  program.input("x").set(Floats{0, std::nanf(""), 1, 1});
  std::vector<int64_t> places;
  program.run_traced([&](const TraceEntry& entry) { places.push_back(entry.non_finite_index); });
  CHECK(places[0] == 1);
}

TEST_CASE("program: operations are counted where ops count them") {
  Device device = Device::cpu(1);
  Graph g;
  const Value w = g.parameter("w", f32({4, 3, 3, 2}), Initializer::constant(1));
  g.output("y", g.add("conv", layers::Conv2d{}, {g.input("x", f32({1, 5, 5, 2})), w}));
  Parameters parameters(device);
  CHECK(Program(device, g, parameters).flops() == 2.0 * (3 * 3 * 4) * (3 * 3 * 2));
}

TEST_CASE("program: programs of one model share parameters, the second must mean the same by them") {
  Device device = Device::cpu(1);
  Parameters parameters(device);
  Graph first;
  first.output("y", first.add("y", Scale{2}, {first.parameter("w", kVector, Initializer::constant(1))}));
  Graph second;
  second.output("y", second.add("y", Scale{3}, {second.parameter("w", kVector, Initializer::constant(9))}));
  Program a(device, first, parameters), b(device, second, parameters);
  a.run();
  b.run();
  CHECK(b.output("y").get<float>() == Floats{3, 3, 3, 3});
  CHECK(parameters.entries().size() == 1);

  Graph third;
  third.output("y", third.add("y", Scale{3}, {third.parameter("w", f32({5}), Initializer::constant(1))}));
  CHECK(error_of<ConfigError>([&] { Program(device, third, parameters); }) ==
        "w: is f32[5] here, but was f32[4] in the graph that was compiled first");
}

TEST_CASE("program: only what outputs need is run") {
  Device device = Device::cpu(1);
  const Counting dead, alive;
  Graph g;
  const Value x = g.input("x", kVector);
  g.add("dead", dead, {x});
  g.output("y", g.add("alive", alive, {x}));
  Parameters parameters(device);
  Program program(device, g, parameters);
  program.run();
  CHECK(*dead.runs == 0);
  CHECK(*alive.runs == 1);
}

}  // namespace
}  // namespace psanet::tests
