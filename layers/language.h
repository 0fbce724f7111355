// The words of the model language: what an "op" in a model JSON may be, and the graph nodes it stands for.
#pragma once

#include <memory>
#include <span>

#include "engine/graph.h"

namespace psanet::layers {

/// Batch norm and dropout differ between the two; everything else is the same.
enum class Mode { train, eval };

/// Where a layer adds its nodes.
struct Building {
  Graph& graph;
  Mode mode = Mode::eval;
  std::string path;  // of the node, "layer1.0.conv1": parameters are named path + ".weight", the value path
};

/// One word with its attributes.
class Layer {
 public:
  virtual ~Layer() = default;
  virtual void fields(Fields& f) = 0;
  /// Adds the layer's parameters and nodes; throws ConfigError.
  virtual Value build(const Building& b, const Values& in) const = 0;
};

struct Word {
  const char* name;
  const char* doc;
  int min_inputs, max_inputs;  // max -1: any number
  std::unique_ptr<Layer> (*make)();
};

/// All words, in the order of the documentation.
std::span<const Word> words();
/// The word of that name, or null.
const Word* find_word(const std::string& name);

}  // namespace psanet::layers
