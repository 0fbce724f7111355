// A training step for a part of the batch becomes one that takes part in the step for the whole batch.
#pragma once

#include "engine/graph.h"

namespace psanet::layers {

/// Which samples of the batch a rank works on: `count` from `first` on, of `total`.
struct BatchPart {
  int64_t first = 0, count = 1, total = 1;
  /// Parts as equal as can be, the larger ones first. ConfigError if there is no sample for each rank.
  static BatchPart of_rank(int64_t batch, int rank, int world);
};

struct DataParallelOptions {
  int64_t bucket_bytes = 8 << 20;
  /// The loss is the mean of each rank's mean over its own valid pixels, as in the official code, instead of the mean
  /// over those of all ranks. Not with accumulation.
  bool mean_of_ranks = false;
};

/// The graph of a training step, or of an update from accumulated sums, for one of several ranks: batch norm takes the
/// statistics of all ranks, both ways; losses are sums over all ranks divided by the valid pixels of all; gradients
/// (the optimiser's, or the graph's results) are summed in buckets of about `bucket_bytes`, each started as soon as its
/// last gradient is there; dropout draws what one rank would draw for the sample. The same numbers as one rank with the
/// whole batch, to rounding; but confusion counts stay those of the part. With a part that is all, the graph stays as
/// it is. `world`: the number of ranks.
Graph data_parallel(const Graph& graph, const BatchPart& part, int world, const DataParallelOptions& options = {});

}  // namespace psanet::layers
