#include "bench/op_bench.h"

#include "engine/autodiff.h"
#include "engine/random.h"

namespace psanet::bench {

void fill_inputs(Program& program, double scale, int classes) {
  uint64_t key = 1;
  for (Value v : program.graph().sources(Source::Kind::input)) {
    const Node& node = program.graph().node(v);
    Tensor tensor = program.input(node.name);
    const auto count = static_cast<size_t>(tensor.type().elements());
    ++key;
    if (tensor.type().dtype == DType::f32) {
      std::vector<float> values(count);
      for (size_t i = 0; i < count; ++i) values[i] = static_cast<float>(scale * random_unit(key, i));
      tensor.set(values);
    } else if (tensor.type().dtype == DType::u8) {
      std::vector<uint8_t> values(count);
      for (size_t i = 0; i < count; ++i)
        values[i] = static_cast<uint8_t>(random_bits(key, i) % static_cast<uint64_t>(classes));
      tensor.set(values);
    } else {
      tensor.zero();
    }
  }
}

void run_program(benchmark::State& state, Program& program) {
  program.run();
  for (auto _ : state) program.run();
  state.counters["GFLOP/s"] = benchmark::Counter(program.flops() / 1e9, benchmark::Counter::kIsIterationInvariantRate);
  state.counters["launches"] = static_cast<double>(program.launches());
  state.counters["peak_MiB"] = static_cast<double>(program.memory().peak_bytes()) / 1048576.0;
}

Graph graph_of(const Op& op, const Types& inputs) {
  Graph graph;
  Values values;
  for (size_t i = 0; i < inputs.size(); ++i) values.push_back(graph.input(std::to_string(i), inputs[i]));
  const Values outputs = graph.apply("op", op, values);
  for (size_t i = 0; i < outputs.size(); ++i) graph.output("out" + std::to_string(i), outputs[i]);
  return graph;
}

void run_op(benchmark::State& state, const Op& op, const Types& inputs, bool backward, double scale, int classes) {
  Graph graph = graph_of(op, inputs);
  if (backward) {
    const int id = graph.output("out0").node;
    const Value d_out = graph.input("d_out", graph.type(graph.output("out0")));
    Values d_outs(graph.node(id).outputs.size());
    d_outs[0] = d_out;
    Gradient scope(graph, graph.node(id), id, d_outs, std::vector<bool>(inputs.size(), true));
    const Values gradients = op.grad(scope);
    for (size_t i = 0; i < gradients.size(); ++i) {
      if (gradients[i]) graph.output("d" + std::to_string(i), gradients[i]);
    }
  } else {
    const Value first = graph.output("out0");
    graph.clear_outputs();
    graph.output("out0", first);
  }
  Device device = Device::cpu();
  Parameters parameters(device);
  Program program(device, graph, parameters);
  fill_inputs(program, scale, classes);
  run_program(state, program);
}

}  // namespace psanet::bench
