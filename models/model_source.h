// A model file and the files it uses, read and checked key by key, but not yet expanded into nodes.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "engine/json/reader.h"
#include "models/names.h"

namespace psanet::models {

/// The name of a node with the JSON path of the place that names it.
struct NamedAt {
  std::string name, where;
};

/// A named piece of a graph that nodes instantiate.
struct Block {
  std::string name, about;
  std::vector<std::string> required;           // arguments every use must give
  std::map<std::string, JsonReader> optional;  // arguments with their defaults
  std::set<std::string> inputs;                // inputs besides `in`, each of which is `in` unless the use says
  std::optional<JsonReader> graph;             // a list of nodes
  std::string out;                             // the node that is the result; "": the last one
  std::string where;

  /// required and optional ones
  std::vector<std::string> arguments() const;
};

/// What a `let` must fulfil.
struct Requirement {
  std::string of;                  // the let it is about
  std::string that;                // a condition
  std::string say;                 // what is wanted, in words, with {expressions}
  std::vector<std::string> valid;  // values that would do: expressions or plain text
  std::string where;
};

struct ModelSource {
  std::vector<std::shared_ptr<const nlohmann::json>> documents;  // the files, which readers refer to
  std::string file;                                              // as errors show it
  std::string about;
  std::unique_ptr<Names> lets = std::make_unique<Names>();
  std::vector<Requirement> requirements;  // of the used files in the order of `use`, then of the model itself
  std::map<std::string, Block> blocks;
  std::optional<JsonReader> input;  // an object: how pixels become the graph's image
  std::optional<JsonReader> graph;
  std::map<std::string, std::string> outputs;  // name of the output -> name of a node
  std::vector<NamedAt> backbone;               // names of nodes of the graph; of the used files and of the model
};

/// A model file, and which of its models: one of its `names`, or "" for the file as it stands.
struct ModelFile {
  std::filesystem::path file;
  std::string name;
};

/// Reads a model file. `settings` is an object that replaces values of `let`s. Throws ConfigError.
ModelSource read_model_source(const ModelFile& model, const nlohmann::json& settings);

/// The `names` of a file. Throws ConfigError.
std::vector<std::string> names_of_models(const std::filesystem::path& file);

/// Reads a file that models use without what it uses itself: its about, lets and blocks (for documentation). Throws
/// ConfigError.
ModelSource read_used_source(const std::filesystem::path& file);

/// The folder of the model files that ship with us.
std::filesystem::path models_dir();

}  // namespace psanet::models
