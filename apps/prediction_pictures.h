// Label maps and pictures of what networks see (SPEC 8, Figure 5).
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "apps/network_source.h"

namespace psanet::apps {

/// One image to predict; the truth may be empty.
struct PredictionTask {
  std::filesystem::path image, truth;
  std::string name;  // of the files written
};

/// Files, and folders (all images in them, sorted by name). ConfigError for a path that is not there or an empty
/// folder, or when two images would write the same file.
std::vector<PredictionTask> tasks_of(const std::vector<std::string>& paths);

/// The first `limit` samples of a split (0: all).
std::vector<PredictionTask> tasks_of_split(const Network& network, const std::string& split, int64_t limit);

/// Writes for each task `<name>.png` (label indices with the dataset's palette, in the image's size; with several
/// networks
/// `<name>.<column>.png`) and `<name>.sheet.png`: image, truth if there is one, one column a network, a legend.
void write_predictions(const std::vector<Network*>& networks, const std::vector<std::string>& columns,
                       const std::vector<PredictionTask>& tasks, const std::filesystem::path& folder);

}  // namespace psanet::apps
