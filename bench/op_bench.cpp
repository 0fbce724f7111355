#include "bench/op_bench.h"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <nlohmann/json.hpp>

#include "engine/autodiff.h"
#include "engine/random.h"

namespace psanet::bench {

namespace {
template <class T>
std::vector<T> repeated(const std::vector<T>& some, size_t count) {
  std::vector<T> all(count);
  for (size_t i = 0; i < count; i += some.size()) {
    std::copy_n(some.begin(), std::min(some.size(), count - i), all.begin() + static_cast<std::ptrdiff_t>(i));
  }
  return all;
}
}  // namespace

void fill_inputs(Program& program, double scale, int classes) {
  uint64_t key = 1;
  for (Value v : program.graph().sources(Source::Kind::input)) {
    const Node& node = program.graph().node(v);
    Tensor tensor = program.input(node.name);
    const auto count = static_cast<size_t>(tensor.type().elements());
    ++key;
    if (is_float(tensor.type().dtype)) {
      // Some numbers again and again: drawing hundreds of millions of them would take longer than what is timed.
      std::vector<float> some(std::min<size_t>(count, 1000003));
      for (size_t i = 0; i < some.size(); ++i) some[i] = static_cast<float>(scale * random_unit(key, i));
      if (tensor.type().dtype == DType::bf16) {
        std::vector<kernels::bf16> stored;
        for (float number : some) stored.push_back(kernels::to_bf16(number));
        tensor.set(repeated(stored, count));
      } else {
        tensor.set(repeated(some, count));
      }
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

namespace {
/// A line of JSON for the program: its nodes in the order of their launches.
void write_launches(const Program& program) {
  if (launches_file().empty()) return;
  nlohmann::json nodes = nlohmann::json::array();
  int64_t launches = 0;
  for (const RecordedNode& recorded : program.recorded_nodes()) {
    launches += recorded.launches;
    nodes.push_back({{"node", recorded.node.name},
                     {"op", recorded.node.op()->name()},
                     {"launches", recorded.launches},
                     {"flops", recorded.flops},
                     {"bytes", recorded.bytes}});
  }
  std::ofstream file(launches_file(), std::ios::app);
  file << nlohmann::json{{"precision", name(device().precision())}, {"launches", launches}, {"nodes", nodes}} << '\n';
  if (!file.flush()) throw std::runtime_error(launches_file() + ": cannot be written");
}
}  // namespace

void run_program(benchmark::State& state, Program& program, int64_t min_bytes) {
  for (int untimed = 0; untimed < 3; ++untimed) program.run();  // launched, recorded, replayed
  device().synchronize();
  write_launches(program);
  std::vector<double> ms;
  for (auto _ : state) {
    const auto begin = std::chrono::steady_clock::now();
    program.run();
    device().synchronize();
    ms.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count());
  }
  ms.erase(ms.begin(), ms.begin() + static_cast<std::ptrdiff_t>(std::min<size_t>(10, ms.size() / 2)));
  std::sort(ms.begin(), ms.end());
  state.counters["median_ms"] = (ms[ms.size() / 2] + ms[(ms.size() - 1) / 2]) / 2;
  state.counters["min_ms"] = ms.front();
  if (min_bytes > 0) {
    state.counters["GB/s"] =
        benchmark::Counter(static_cast<double>(min_bytes) / 1e9, benchmark::Counter::kIsIterationInvariantRate);
  }
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
  int64_t bytes = 0;
  for (Value v : graph.sources(Source::Kind::input)) bytes += graph.type(v).bytes();
  for (const auto& [name, v] : graph.outputs()) bytes += graph.type(v).bytes();
  guarded(state, [&] {
    Parameters parameters(device());
    Program program(device(), graph, parameters);
    fill_inputs(program, scale, classes);
    run_program(state, program, bytes);
  });
}

std::vector<int64_t> batches() {
  if (tiny()) return {2};
  return device().is_cpu() ? std::vector<int64_t>{1} : std::vector<int64_t>{1, 16};
}

}  // namespace psanet::bench
