// A checkpoint on disk: a tensor file, and a manifest that says what is in it, written last.
#pragma once

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "engine/safetensors.h"

namespace psanet::models {

/// What a run needs to go on exactly where it was.
struct Checkpoint {
  int64_t iteration = 0;                  // steps done
  Safetensors tensors;                    // parameters, running statistics, momentum (to_file with the optimizer)
  nlohmann::ordered_json state;           // all else: the caller's
  std::map<std::string, double> metrics;  // scores of these parameters, by name; those that are not finite are not kept
};

/// "000012000.json"
std::string manifest_name(int64_t iteration);
/// The iteration of a name that manifest_name() made, or -1.
int64_t iteration_of_manifest(const std::string& name);

/// Writes the tensors, then the manifest, both into the existing folder `folder`. The manifest holds, for every tensor,
/// type, shape and CRC-32C, and a CRC-32C of itself. The tensor file's name has the checksum of its tensors in it, so
/// that a checkpoint of the same iteration that is there already is whole until the manifest replaces its own. Throws
/// FileError; nothing new is left behind then, as far as files can be removed.
void write_checkpoint(const std::filesystem::path& folder, const Checkpoint& checkpoint, FileSystem& files);

/// The same checkpoint with other metrics: only the manifest is written anew. Throws WeightsError if it is not
/// readable, FileError if it cannot be written.
void write_metrics(const std::filesystem::path& manifest, const std::map<std::string, double>& metrics,
                   FileSystem& files);

/// What a manifest says, its checksum checked: "iteration", "metrics", "file", "tensors", "state". Throws
/// WeightsError (file, what was found).
nlohmann::ordered_json read_manifest(const std::filesystem::path& manifest);

/// The whole checkpoint, every tensor checked. Throws WeightsError (file, what was found).
Checkpoint read_checkpoint(const std::filesystem::path& manifest);

}  // namespace psanet::models
