// Rewrites that make a graph faster and change no result beyond rounding. Each leaves what it replaced for prune() to
// remove.
#pragma once

#include "engine/graph.h"

namespace psanet::layers {

/// batch_norm (+ add) + relu become one pass over memory. For training it comes before differentiate(): the fused op
/// has its gradient rule, so no pattern needs to be found in the backward half.
Graph fuse_batch_norm(const Graph& graph);

/// Evaluation: a convolution and the batch norm (+ add)(+ relu) after it become one convolution with folded weights.
/// Expects fuse_batch_norm() to have run.
Graph fold_batch_norm(const Graph& graph);

/// Evaluation: a 1x1 convolution whose result is only subsampled (a resize by an exact integer with aligned corners, as
/// PSA's shrink) is computed at the sampled positions alone.
Graph subsample_pointwise(const Graph& graph);

/// All of them in order, then prune: what an evaluation program runs.
Graph optimize_for_evaluation(const Graph& graph);

}  // namespace psanet::layers
