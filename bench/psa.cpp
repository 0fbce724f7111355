// The attention operation alone (from ready logits), and with the convolution that predicts the over-complete map.
#include "layers/psa.h"

#include "bench/op_bench.h"
#include "layers/conv2d.h"

namespace psanet::bench {
namespace {

void psa(benchmark::State& state, layers::PsaMode mode, bool backward) {
  const int64_t n = state.range(0), size = state.range(1), mask = state.range(2), channels = 512;
  layers::Psa op;
  op.mode = mode;
  op.mask_h = op.mask_w = mask;
  run_op(state, op, {f32({n, size, size, channels}), f32({n, size, size, mask * mask})}, backward);
}

void map_sizes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"batch", "size", "mask"});
  for (auto [size, mask] : {std::pair<int, int>{30, 59}, {45, 89}, {59, 59}, {59, 117}}) b->Args({1, size, mask});
  b->Args({16, 30, 59});
  b->Unit(benchmark::kMillisecond)->UseRealTime();
}

BENCHMARK_CAPTURE(psa, collect_forward, layers::PsaMode::collect, false)->Apply(map_sizes);
BENCHMARK_CAPTURE(psa, collect_forward_backward, layers::PsaMode::collect, true)->Apply(map_sizes);
BENCHMARK_CAPTURE(psa, distribute_forward, layers::PsaMode::distribute, false)->Apply(map_sizes);
BENCHMARK_CAPTURE(psa, distribute_forward_backward, layers::PsaMode::distribute, true)->Apply(map_sizes);

/// With the 1x1 convolution 512 -> mask * mask in front, one branch, forward.
void psa_with_logits(benchmark::State& state, layers::PsaMode mode) {
  const int64_t n = state.range(0), size = state.range(1), mask = state.range(2), channels = 512;
  Graph graph;
  const Value value = graph.input("value", f32({n, size, size, channels})),
              features = graph.input("features", f32({n, size, size, channels}));
  const Value weight = graph.parameter("weight", f32({mask * mask, 1, 1, channels}), Initializer::uniform(0.05));
  const Value logits = graph.add("logits", layers::Conv2d{}, {features, weight});
  layers::Psa op;
  op.mode = mode;
  op.mask_h = op.mask_w = mask;
  graph.output("out", graph.add("psa", op, {value, logits}));
  Device device = Device::cpu();
  Parameters parameters(device);
  Program program(device, graph, parameters);
  fill_inputs(program, 1, 2);
  run_program(state, program);
}
BENCHMARK_CAPTURE(psa_with_logits, collect_forward, layers::PsaMode::collect)->Apply(map_sizes);
BENCHMARK_CAPTURE(psa_with_logits, distribute_forward, layers::PsaMode::distribute)->Apply(map_sizes);

}  // namespace
}  // namespace psanet::bench
