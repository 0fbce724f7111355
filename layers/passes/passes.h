// Rewrites that make a graph faster and change no result beyond rounding. Each leaves what it replaced for prune() to
// remove.
#pragma once

#include "engine/device.h"
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

/// A convolution that keeps its input's size, of an enlarged map or of a concatenation with some: products with the
/// weights of the window's taps commute with the resize, so they are made at the small map's places (PSANet enlarges by
/// two: a quarter of them) and what they are resized to is summed. For training it comes before differentiate(), for
/// evaluation after fold_batch_norm().
Graph multiply_before_enlarging(const Graph& graph);

/// Convolutions, and everything between them, in bf16: weights and images are cast, other ops follow the types of their
/// inputs, softmax and outputs stay float (the resize before them, too). Gradients of parameters come out float. For
/// training it comes before differentiate(), for evaluation last.
Graph use_bf16(const Graph& graph);

/// After the optimiser was added: the bf16 copies of parameters, cast anew in every step so far, become state that the
/// optimiser writes together with the parameter.
Graph let_sgd_write_copies(const Graph& graph);

/// For GPUs: point-wise spatial attention and the convolution that its logits come from become one op, which computes
/// only the scores that are needed (docs/performance of PSA: docs/cuda.md). For training it comes before
/// differentiate().
Graph project_attention(const Graph& graph);

/// All that serve evaluation, in order, then prune: what an evaluation program runs.
Graph optimize_for_evaluation(const Graph& graph, Target target = {});

}  // namespace psanet::layers
