// A model file and the files it uses, read and checked key by key, but not yet expanded into nodes.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "models/names.h"

namespace psanet::models {

/// A piece of a JSON file with its path for errors: "psanet50.json: graph[3]".
struct Located {
  nlohmann::json json;
  std::string where;
};

/// The name of a node with the JSON path of the place that names it.
struct NamedAt {
  std::string name, where;
};

/// A named piece of a graph that nodes instantiate.
struct Block {
  std::string name, about;
  std::vector<std::string> required;          // arguments every use must give
  std::map<std::string, Located> optional;    // arguments with their defaults
  std::map<std::string, std::string> inputs;  // inputs besides `in`, and the input each one is unless the use says
  Located graph;                              // a list of nodes
  std::string out;                            // the node that is the result; "": the last one
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
  std::string file;  // as errors show it
  std::string about;
  std::unique_ptr<Names> lets = std::make_unique<Names>();
  std::vector<Requirement> requirements;  // of the used files in the order of `use`, then of the model itself
  std::map<std::string, Block> blocks;
  Located input;  // an object: how pixels become the graph's image
  Located graph;
  std::map<std::string, std::string> outputs;  // name of the output -> name of a node
  std::vector<NamedAt> backbone;               // names of nodes of the graph; of the used files and of the model
};

/// Reads a model file. `settings` is an object that replaces values of `let`s. Throws ConfigError.
ModelSource read_model_source(const std::filesystem::path& file, const nlohmann::json& settings);

/// Reads a file that models use without what it uses itself: its about, lets and blocks (for documentation). Throws
/// ConfigError.
ModelSource read_used_source(const std::filesystem::path& file);

/// The folder of the model files that ship with us.
std::filesystem::path models_dir();

}  // namespace psanet::models
