// What a recipe says of its training step: losses, and the rate and decay of every parameter.
#pragma once

#include "apps/recipe.h"
#include "models/training_step.h"

namespace psanet::apps {

/// `forward` is the model's graph in train mode. Rates (factors on base_rate): 1 in the backbone, `head_rate_factor`
/// outside, `classifier_bias_rate_factor` for the biases of the layers that the scores come out of. Decay: the recipe's
/// on everything, times `batch_norm_decay_factor` on batch norm's slopes and shifts and
/// `classifier_bias_decay_factor` on those biases. The result refers to `model`.
models::TrainingOptions step_options(const Recipe& recipe, const models::Model& model, const Graph& forward,
                                     Target target);

}  // namespace psanet::apps
