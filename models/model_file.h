// A model: what a model JSON says (docs/model-json.md), ready to become a graph.
#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/graph.h"
#include "layers/language.h"
#include "models/expansion.h"
#include "models/pixel_input.h"
#include "models/scalar.h"

namespace psanet::models {

struct BuildOptions {
  layers::Mode mode = layers::Mode::eval;
  int64_t batch = 1;  // images at once
};

struct Model {
  std::string file;                    // where it was read
  std::string about;                   // one line for people
  std::map<std::string, Scalar> lets;  // every `let` with its value, --set applied
  int64_t classes = 0;
  int64_t crop_h = 0, crop_w = 0;    // pixels
  PixelInput input;                  // what the network's input is made of
  std::optional<double> aux_weight;  // of the auxiliary loss; empty: there is no auxiliary head
  std::vector<std::string> parts;  // names of the nodes of the model's own graph, in order: layer0, ..., psa, cls, ...
  std::vector<std::string> backbone;  // the parts that learn at the base rate; the others learn ten times as fast

  /// The graph from input "image" f32 [batch, crop_h, crop_w, 3] to output "logits" f32 [batch, h, w, classes] with
  /// h = (crop_h - 1) / 8 * zoom + 1; in train mode and if there is an aux_weight also to "aux" of the same shape. The
  /// nodes that these outputs do not need are left out, the auxiliary head's parameters among them. Throws ConfigError.
  Graph build(const BuildOptions& options) const;

  /// The part that a node or parameter belongs to ("psa" for "psa.reduce.0.weight"); "" if to none.
  std::string part_of(const std::string& name) const;
  bool in_backbone(const std::string& name) const;

  std::map<std::string, bool> backbone_of_parts;     // every part
  std::vector<FlatNode> nodes;                       // of the whole figure
  std::map<std::string, int> outputs;                // "logits", "aux" -> index in nodes
  std::map<std::string, std::string> outputs_where;  // their JSON paths
};

/// The file of a model: a path, or the name of one of ours with or without ".json". Throws ConfigError.
ModelFile find_model(const std::string& name);

/// Names of the models that ship with us.
std::vector<std::string> our_models();

/// Reads find_model(name). `settings` is an object that replaces values of `let`s: {"classes": 19}. Throws ConfigError.
Model read_model(const std::string& name, const nlohmann::json& settings);
Model read_model(const std::string& name);

/// The same for another list of ops (tests).
Model read_model(const std::string& name, const nlohmann::json& settings, std::span<const layers::Word> words);

/// Adds "name=value", as --set has it, to `settings`; the value is JSON, or else a string. Throws ConfigError.
void add_setting(nlohmann::json& settings, const std::string& assignment);

}  // namespace psanet::models
