#include "models/parameter_groups.h"

#include "layers/batch_norm.h"
#include "layers/conv2d.h"

namespace psanet::models {

ParameterGroups parameter_groups(const Graph& forward) {
  ParameterGroups groups;
  for (const Node& node : forward.nodes()) {
    if (!node.as<layers::BatchNormApply>()) continue;
    for (size_t i : {size_t{3}, size_t{4}}) groups.batch_norm.insert(forward.node(node.inputs[i]).name);
  }
  for (const auto& [output, value] : forward.outputs()) {
    // Back from the scores, through resizes, to the first layer that has parameters.
    for (Value v = value; v;) {
      const Node& node = forward.node(v);
      for (size_t i = 0; i < node.inputs.size(); ++i) {
        const Value in = node.inputs[i];
        if (!in || !forward.node(in).is(Source::Kind::parameter)) continue;
        groups.classifier.insert(forward.node(in).name);
        if (node.as<layers::Conv2d>() && i == 2) groups.classifier_bias.insert(forward.node(in).name);
      }
      const bool found = node.inputs.size() > 1 && forward.node(node.inputs[1]).is(Source::Kind::parameter);
      v = found || node.inputs.empty() ? Value{} : node.inputs[0];
    }
  }
  return groups;
}

}  // namespace psanet::models
