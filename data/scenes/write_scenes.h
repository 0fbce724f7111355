// A generated dataset on disk.
#pragma once

#include <cstdint>
#include <filesystem>

#include "data/scenes/scene_config.h"

namespace psanet::data {

struct SceneSetConfig {
  SceneConfig scene;
  int train = 200, val = 40;  ///< images
  std::uint64_t seed = 1;
};

/// Writes images/{train,val}/NNNN.jpg, labels/{train,val}/NNNN.png and then lists/{train,val}.txt under `root`, the
/// layout of data/scenes/dataset.json. The lists come last: without them the set is not there. Same arguments, same
/// bytes. std::invalid_argument for impossible settings, DataError if a file cannot be written.
void write_scenes(const SceneSetConfig& config, const std::filesystem::path& root);

}  // namespace psanet::data
