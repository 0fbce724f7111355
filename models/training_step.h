// From a forward graph to a whole training step: losses, gradients, optimiser, all in one graph.
#pragma once

#include <functional>
#include <optional>

#include "engine/device.h"
#include "engine/graph.h"

namespace psanet::models {

struct TrainingOptions {
  /// total = main + aux_weight * aux; without a value (or without an "aux" output) there is no auxiliary loss.
  std::optional<double> aux_weight = 0.4;
  int64_t ignore = 255;

  /// Optimiser (SPEC 5). `update` false: the gradients become results instead (Graph::gradients()).
  bool update = true;
  double momentum = 0.9, weight_decay = 1e-4;
  /// Factor on the learning rate of a parameter, by name: 1 for the backbone, 10 for the rest.
  std::function<double(const std::string&)> rate_factor;
  /// Factor on the weight decay of a parameter, by name; unset: 1.
  std::function<double(const std::string&)> decay_factor;

  /// The step does not update: it adds the gradients of its batch's summed loss to their gradient sums, and its losses
  /// and valid pixels to loss sums; accumulated_update() makes the program that updates from them.
  bool accumulate = false;

  /// The loss at the resolution of the class scores before they are resized, against labels subsampled to it (Caffe):
  /// the input "label" is u8 [N,h,w] then.
  bool loss_at_scores = false;

  /// Device::target(): in bf16 activations and convolutions are bf16, with float masters (docs/precision.md).
  Target target;

  /// Adds the output "confusion" (i64 [C,C]) of the main head's prediction on this batch.
  bool confusion = false;
};

/// `forward` (train mode) has the input "image" and the output "logits" [N,H,W,C], and perhaps "aux" of the same size.
/// A resize that ends an output becomes part of the loss op, so full-resolution logits are never in memory. The result
/// has the inputs "image", "label" (u8 [N,H,W]), "rate" ([1], when updating) and "counter" (with dropout), and the
/// outputs "loss", "loss.main", "loss.aux" ([1] each), plus what the options ask for. A step whose loss is NaN or
/// infinite leaves parameters, momentum and running statistics as they are, bit for bit.
Graph training_step(const Graph& forward, const TrainingOptions& options);

/// The update after any number of steps of `step`, a training_step() with `accumulate`: the gradients of all their
/// losses divided by the valid pixels of all their batches, which is what one batch of all their images would give, but
/// for rounding and batch norm's statistics. Input "rate" [1]; outputs "loss", "loss.main" and "loss.aux" over all the
/// batches. The sums start anew.
Graph accumulated_update(const Graph& step, const TrainingOptions& options);

/// The poly learning rate of iteration `iteration` (from 0): base * (1 - iteration / iterations)^power.
double poly_rate(double base, int64_t iteration, int64_t iterations, double power);

}  // namespace psanet::models
