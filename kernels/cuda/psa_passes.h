// The passes of point-wise spatial attention over scores that lie as a ScoreView says. What psa.cu and psa_projected.cu
// are made of.
//
// With some pairs outside the mask, every target i gives each of them the weight outside_i = exp(0 - largest_i) /
// sum_i. Then out_i = sum over pairs inside of (weight - outside_i) value_j + outside_i * (sum of all value_j): the
// products run over the pairs inside only, the rest is one vector [C] for an image. Likewise for the gradient of value.
#pragma once

#include "kernels/cuda/runtime.h"
#include "kernels/cuda/score_view.h"

namespace psanet::kernels::cuda {

/// What a target's softmax comes down to: weight = exp(score - largest) * inverse_sum.
struct alignas(16) Target {
  float largest, inverse_sum;
  float outside;  // the weight of each pair without a score; 0 if there is none
  float dot;      // d_out . out; backward only
};

/// Sizes, modes and scratch memory that all passes share.
struct PsaPasses {
  /// Reads the dims' scores through `view`.
  PsaPasses(const PsaDims& dims, const ScoreView& scores);

  ScoreView view;
  int images, channels;
  bool targets_own;  // collect
  bool softmax;
  float scale;
  int shares;  // parts of the sum over all positions; 0: every pair has a score, no such sum is needed

  int64_t workspace_bytes() const { return target_bytes() + total_bytes(); }
  Target* targets(void* workspace) const { return static_cast<Target*>(workspace); }  // [N, positions]
  float* totals(void* workspace) const {                                              // [N, shares, C]
    return reinterpret_cast<float*>(static_cast<char*>(workspace) + target_bytes());
  }

 private:
  int64_t target_bytes() const { return softmax ? int64_t{16} * images * view.positions() : 0; }
  int64_t total_bytes() const { return int64_t{4} * images * shares * channels; }
};

/// Fills in the targets from the scores; statistics may be null.
template <class T>
void find_targets(CudaContext& ctx, const PsaPasses& p, const T* scores, float* statistics, Target* targets);
/// The same from the statistics, with the dot products.
template <class T>
void recall_targets(CudaContext& ctx, const PsaPasses& p, const float* statistics, const T* out, const T* d_out,
                    Target* targets);
/// totals [N, shares, C]: parts of the sum over the positions of x [N, positions, C], times `outside` unless targets is
/// null.
template <class T>
void sum_positions(CudaContext& ctx, const PsaPasses& p, const T* x, const Target* targets, float* totals);

/// y = scale * weights x x, where y's positions are targets (out from value), or scale * transposed weights x x, where
/// they are sources (d_value from d_out).
template <class T>
void aggregate(CudaContext& ctx, const PsaPasses& p, bool for_targets, const T* scores, const Target* targets,
               const T* x, const float* totals, T* y);
/// d_scores of all pairs that have a score; entries of the over-complete map that belong to no pair become 0. Every
/// value is written once.
template <class T>
void differentiate_scores(CudaContext& ctx, const PsaPasses& p, const T* scores, const Target* targets, const T* value,
                          const T* d_out, T* d_scores);

/// The whole forward and backward operation; workspace: p.workspace_bytes().
template <class T>
void run_forward(CudaContext& ctx, const PsaPasses& p, const T* value, const T* scores, T* out, float* statistics,
                 void* workspace) {
  Target* targets = p.softmax ? p.targets(workspace) : nullptr;
  float* totals = p.totals(workspace);
  if (p.softmax) find_targets(ctx, p, scores, statistics, targets);
  if (p.shares > 0) sum_positions(ctx, p, value, nullptr, totals);
  aggregate(ctx, p, true, scores, targets, value, totals, out);
}
template <class T>
void run_backward(CudaContext& ctx, const PsaPasses& p, const T* value, const T* scores, const T* out,
                  const float* statistics, const T* d_out, T* d_value, T* d_scores, void* workspace) {
  Target* targets = p.softmax ? p.targets(workspace) : nullptr;
  float* totals = p.totals(workspace);
  if (p.softmax) recall_targets(ctx, p, statistics, out, d_out, targets);
  if (p.shares > 0) sum_positions(ctx, p, d_out, targets, totals);
  aggregate(ctx, p, false, scores, targets, d_out, totals, d_value);
  differentiate_scores(ctx, p, scores, targets, value, d_out, d_scores);
}

}  // namespace psanet::kernels::cuda
