// Batch normalisation as two ops each way (statistics | one pass over memory), so that synchronised batch norm is an
// all-reduce between them.
#pragma once

#include "engine/autodiff.h"
#include "engine/lowering.h"
#include "engine/op.h"

namespace psanet::layers {

/// mean [C] and biased variance [C] of x [...,C]. Their gradient is part of BatchNormApply's.
struct BatchNormStatistics {
  static constexpr const char* kName = "batch_norm_statistics";
  void fields(Fields&) {}
  Types infer(const Types& in) const;
  Launch lower(Lowering& l) const;
};

/// y = relu?((x - mean) / sqrt(variance + epsilon) * weight + bias + residual?).
/// Inputs: x [...,C], mean, variance, weight, bias [C], and residual [...,C] with the flag.
struct BatchNormApply {
  static constexpr const char* kName = "batch_norm";
  double epsilon = 1e-5;
  bool batch_statistics = true;  // mean and variance are those of x (training), not constants (evaluation)
  bool residual = false, relu = false;

  void fields(Fields& f) {
    f("epsilon", epsilon, "added to the variance");
    f("batch_statistics", batch_statistics, "mean and variance are those of x");
    f("residual", residual, "adds a residual input (set by passes)");
    f("relu", relu, "ends in a ReLU (set by passes)");
  }
  Types infer(const Types& in) const;
  Values grad(Gradient& g) const;
  Launch lower(Lowering& l) const;
  std::vector<Sharing> shares() const { return {{0, 0}, {0, 5}}; }
};

/// d_x and, with the flag, d_residual; inputs x, mean, variance, weight, d_weight, d_bias, d_y, and y with ReLU.
struct BatchNormBackwardApply {
  static constexpr const char* kName = "batch_norm_backward";
  BatchNormApply forward;  // with the flag `residual` if that gradient is to be computed, not d_y itself
  int64_t total_rows = 0;  // samples averaged in each mean, over all ranks; 0: the rows of x

  void fields(Fields& f) {
    forward.fields(f);
    f("total_rows", total_rows, "number of samples averaged over all ranks; 0: the rows of x");
  }
  Types infer(const Types& in) const;
  Launch lower(Lowering& l) const;
  std::vector<Sharing> shares() const;
};

/// Moves running_mean and running_variance [C] towards the batch's; inputs mean, variance, running_mean,
/// running_variance and, with the flag, the loss [1].
struct BatchNormUpdateRunning {
  static constexpr const char* kName = "batch_norm_update_running";
  double momentum = 0.1;
  int64_t rows = 0;      // samples averaged in each mean, for the unbiased variance
  bool guarded = false;  // a batch whose loss is NaN or infinite changes nothing

  void fields(Fields& f) {
    f("momentum", momentum, "weight of the new value");
    f("rows", rows, "number of samples averaged");
    f("guarded", guarded, "the fifth input is the loss; nothing changes where it is not finite");
  }
  Types infer(const Types& in) const;
  Launch lower(Lowering& l) const;
  std::vector<int> mutates(size_t) const { return {2, 3}; }
};

/// Weight and bias of one convolution that does what a convolution and the evaluation-mode batch norm after it do.
/// Inputs: convolution weight [OC,kh,kw,IC], mean, variance, weight, bias [OC], and the convolution's bias with the
/// flag.
struct FoldBatchNorm {
  static constexpr const char* kName = "fold_batch_norm";
  double epsilon = 1e-5;
  bool conv_bias = false;

  void fields(Fields& f) {
    f("epsilon", epsilon, "added to the variance");
    f("conv_bias", conv_bias, "the convolution has a bias");
  }
  Types infer(const Types& in) const;
  Launch lower(Lowering& l) const;
};

}  // namespace psanet::layers
