// Weights to start training from: whole networks of ours, and ImageNet classifiers under the names that they come with.
#pragma once

#include <functional>
#include <set>

#include "models/weights_file.h"

namespace psanet::models {

struct PretrainedOptions {
  /// The classifier is left at its initial values, whatever the file has.
  bool drop_classifier = false;
  std::set<std::string> classifier;                     // its parameters (parameter_groups)
  std::function<bool(const std::string&)> in_backbone;  // of a parameter or running statistic, by name
};

/// Loads by name. A name of the file that the model does not have may be one of another program: "module." and
/// "backbone." in front go; an ImageNet ResNet's conv1, bn1 (7x7 stem) or conv1, bn1, conv2, bn2, conv3, bn3 (three
/// 3x3, semseg), conv1.{0,1,3,4,6} with bn1 (ResNet-D) and stem.<n> (mmsegmentation) become layer0.<n>; its classifier
/// fc.* goes. A file with such a stem or classifier must have the whole backbone; any other must have whatever is not
/// classifier, but may lack whole parts. What is loaded, missing and unused is in the report. WeightsError in one line:
/// a stem of other channels or size (with the `let`s to change), a classifier of another class count (with the way to
/// drop it), any other shape, a file with nothing for this model.
LoadReport load_pretrained(Parameters& parameters, const Safetensors& file, const std::string& file_name,
                           const PretrainedOptions& options);

}  // namespace psanet::models
