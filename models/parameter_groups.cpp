#include "models/parameter_groups.h"

namespace psanet::models {

ParameterGroups parameter_groups(const Graph& forward) {
  ParameterGroups groups;
  for (Value v : forward.sources(Source::Kind::parameter)) {
    const std::string& name = forward.node(v).name;
    const size_t dot = name.rfind('.');
    if (dot != std::string::npos && forward.find_source(name.substr(0, dot) + ".running_mean")) {
      groups.batch_norm.insert(name);
    }
  }
  for (const auto& [output, value] : forward.outputs()) {
    // Back from the scores, through resizes, to the first layer that has parameters.
    for (Value v = value; v;) {
      const Node& node = forward.node(v);
      for (Value in : node.inputs) {
        if (in && forward.node(in).is(Source::Kind::parameter)) groups.classifier.insert(forward.node(in).name);
      }
      const bool found = node.inputs.size() > 1 && forward.node(node.inputs[1]).is(Source::Kind::parameter);
      v = found || node.inputs.empty() ? Value{} : node.inputs[0];
    }
  }
  return groups;
}

}  // namespace psanet::models
