// One training run: from a recipe to a run folder.
#pragma once

#include <filesystem>
#include <optional>

#include "apps/app.h"
#include "apps/recipe.h"
#include "data/metrics.h"

namespace psanet::apps {

struct TrainingOptions {
  std::filesystem::path run_folder;
  DeviceChoice device;
  bool resume = false;     // goes on from the folder's checkpoint
  bool trace = false;      // the first step runs node by node and is printed
  int64_t stop_after = 0;  // saves and stops after this many iterations of the schedule; 0: runs it all
};

/// What a run folder holds: recipe.json (resolved; running it again repeats the run), metrics.jsonl (a line every few
/// iterations and one an evaluation), weights.safetensors (official names), checkpoint.safetensors (with momentum),
/// evaluation/ (scores of the last evaluation).
/// Returns the last evaluation's scores if there was one.
std::optional<data::ConfusionMatrix> train(const Recipe& recipe, const TrainingOptions& options);

}  // namespace psanet::apps
