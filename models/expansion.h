// From blocks, repeats and expressions to a flat list of layers.
#pragma once

#include <memory>
#include <set>
#include <span>

#include "layers/language.h"
#include "models/model_source.h"

namespace psanet::models {

inline constexpr int kImage = -1;  // as an input: the graph's image

/// One node of the figure, with all names resolved.
struct FlatNode {
  std::string path;  // "layer1.0.conv1"
  const layers::Word* word = nullptr;
  std::shared_ptr<const layers::Layer> layer;
  std::vector<int> inputs;  // indices of earlier nodes, or kImage
  std::string where;        // JSON path
};

struct Expansion {
  std::vector<FlatNode> nodes;      // in the order of the files: a node only reads earlier ones
  std::vector<std::string> parts;   // names of the nodes of the model's own graph, in order
  std::map<std::string, int> ends;  // name of such a node -> index of the flat node with its value
};

/// Expands the graph of a model. Every attribute is read and checked. Throws ConfigError.
Expansion expand(const ModelSource& source, std::span<const layers::Word> words);

}  // namespace psanet::models
