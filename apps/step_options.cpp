#include "apps/step_options.h"

#include "models/parameter_groups.h"

namespace psanet::apps {

models::TrainingOptions step_options(const Recipe& recipe, const models::Model& model, const Graph& forward,
                                     Target target) {
  models::TrainingOptions options;
  options.target = target;
  options.aux_weight = model.aux_weight;
  options.ignore = data::kIgnore;
  options.momentum = recipe.momentum;
  options.weight_decay = recipe.weight_decay;
  options.accumulate = recipe.accumulate > 1;
  options.loss_at_scores = recipe.loss_at_scores;
  options.confusion = recipe.train_scores;
  const models::ParameterGroups groups = models::parameter_groups(forward);
  const double head = recipe.head_rate_factor, bias = recipe.classifier_bias_rate_factor.value_or(head);
  options.rate_factor = [&model, head, bias, groups](const std::string& name) {
    if (groups.classifier_bias.contains(name)) return bias;
    return model.in_backbone(name) ? 1.0 : head;
  };
  const double norm_decay = recipe.batch_norm_decay_factor, bias_decay = recipe.classifier_bias_decay_factor;
  options.decay_factor = [groups, norm_decay, bias_decay](const std::string& name) {
    if (groups.classifier_bias.contains(name)) return bias_decay;
    return groups.batch_norm.contains(name) ? norm_decay : 1.0;
  };
  return options;
}

}  // namespace psanet::apps
