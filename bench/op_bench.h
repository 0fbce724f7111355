// Times one op, or a whole program, on random inputs.
#pragma once

#include <benchmark/benchmark.h>

#include "engine/program.h"

namespace psanet::bench {

/// Fills every f32 input with uniform values in [-1, 1) * scale and every u8 input with labels below `classes`.
void fill_inputs(Program& program, double scale, int classes);

/// Runs the program once an iteration; counters: GFLOP/s, launches, peak MiB. One untimed run first.
void run_program(benchmark::State& state, Program& program);

/// A graph of the one op on inputs "0", "1", ... of the given types; every output is an output of the graph.
Graph graph_of(const Op& op, const Types& inputs);

/// forward: the op itself; otherwise forward and its gradient (of the first output), as one program.
void run_op(benchmark::State& state, const Op& op, const Types& inputs, bool backward, double scale = 1,
            int classes = 2);

}  // namespace psanet::bench
