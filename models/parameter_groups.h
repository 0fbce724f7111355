// Which parameters are what, as read off the graph: some training rules treat them apart (SPEC 5).
#pragma once

#include <set>
#include <string>

#include "engine/graph.h"

namespace psanet::models {

struct ParameterGroups {
  std::set<std::string> batch_norm;       // slopes and shifts of batch norms
  std::set<std::string> classifier_bias;  // those of the classifier that are added, not multiplied with
  std::set<std::string> classifier;       // of the layers that the class scores come out of: cls.4.*, aux.4.*
};

/// `forward` has the output "logits" and perhaps "aux".
ParameterGroups parameter_groups(const Graph& forward);

}  // namespace psanet::models
