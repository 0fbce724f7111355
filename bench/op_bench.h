// Times one op, or a whole program, on random inputs, on the device that the command line names.
#pragma once

#include <benchmark/benchmark.h>

#include <string>

#include "engine/program.h"

namespace psanet::bench {

/// --device and --precision of psanet-bench (default: cpu, fp32).
Device& device();

/// --tiny of psanet-bench: everything is registered small, to rehearse what is measured on a GPU (scripts/gpu-kit).
bool tiny();

/// The type of activations in that precision.
inline Type activation(Shape shape) {
  return {device().precision() == Precision::bf16 ? DType::bf16 : DType::f32, std::move(shape)};
}

using Timed = benchmark::internal::Benchmark;

/// Registers f(state, args...), timed in milliseconds of real time.
template <class F, class... Args>
Timed* timed(const std::string& name, F f, Args... args) {
  return benchmark::RegisterBenchmark(name.c_str(), f, args...)->Unit(benchmark::kMillisecond)->UseRealTime();
}

/// Runs body; what it throws (no memory, no algorithm) ends this benchmark and not the others.
template <class Body>
void guarded(benchmark::State& state, const Body& body) {
  try {
    body();
  } catch (const std::exception& e) {
    state.SkipWithError(e.what());
  }
}

/// --launches of psanet-bench: the file that gets what the nodes of every program put into its recording.
const std::string& launches_file();

/// Fills every float input with uniform values in [-1, 1) * scale and every u8 input with labels below `classes`.
void fill_inputs(Program& program, double scale, int classes);

/// Runs the program once an iteration and waits for it; counters: GFLOP/s, launches, peak MiB, median_ms and min_ms of
/// the second half of the iterations or more (all but the first ten), and, with min_bytes, GB/s of the bytes that must
/// be moved at least. One untimed run first, and one that is recorded.
void run_program(benchmark::State& state, Program& program, int64_t min_bytes = 0);

/// A graph of the one op on inputs "0", "1", ... of the given types; every output is an output of the graph.
Graph graph_of(const Op& op, const Types& inputs);

/// forward: the op itself; otherwise forward and its gradient (of the first output), as one program. GB/s counts every
/// input, output, upstream gradient and gradient once.
void run_op(benchmark::State& state, const Op& op, const Types& inputs, bool backward, double scale = 1,
            int classes = 2);

/// Batch sizes that a benchmark of this device runs with: 1 on the processor, 1 and 16 on a GPU, 2 with --tiny.
std::vector<int64_t> batches();

}  // namespace psanet::bench
