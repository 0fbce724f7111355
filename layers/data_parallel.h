// A training step for a part of the batch becomes one that takes part in the step for the whole batch.
#pragma once

#include "engine/graph.h"

namespace psanet::layers {

/// Which samples of the batch a rank works on: `count` from `first` on, of `total`.
struct BatchPart {
  int64_t first = 0, count = 1, total = 1;
};

/// The graph of a training step, or of an update from accumulated sums, for one of several ranks: batch norm takes the
/// statistics of all ranks, both ways; losses are sums over all ranks divided by the valid pixels of all; gradients
/// (the optimiser's, or outputs "grad.*") are summed in buckets of about `bucket_bytes`, each started as soon as its
/// last gradient is there; dropout draws what one rank would draw for the sample. The same numbers as one rank with the
/// whole batch, to rounding. With a part that is all, the graph stays as it is.
Graph data_parallel(const Graph& graph, const BatchPart& part, int64_t bucket_bytes = 8 << 20);

}  // namespace psanet::layers
