// One training run: from a recipe to a run folder.
#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>

#include "apps/app.h"
#include "apps/recipe.h"
#include "apps/run_checkpoints.h"
#include "data/metrics.h"
#include "engine/distributed/host_communicator.h"

namespace psanet::apps {

struct TrainingOptions {
  std::filesystem::path run_folder;
  DeviceChoice device;
  ResumeChoice resume;                // goes on from one of the folder's checkpoints
  bool trace = false;                 // the first step runs node by node and is printed
  std::filesystem::path timeline;     // empty, or where the timeline of the third step goes
  int64_t stop_after = 0;             // saves and stops after this many iterations of the schedule; 0: runs it all
  FileSystem* files = &real_files();  // what checkpoints are written with
  /// The ranks of this run, which divide every batch and every evaluation among them; null: this process alone.
  /// Rank 0 alone writes.
  std::shared_ptr<HostCommunicator> ranks;
  /// How long a rank waits for the others in a collective of their devices.
  std::chrono::milliseconds collective_limit = std::chrono::seconds(600);
};

/// What a run folder holds: recipe.json (resolved; running it again repeats the run), metrics.jsonl (a line every few
/// iterations and one an evaluation), weights.safetensors (official names, of the last save), best.safetensors (of the
/// best evaluation), checkpoints/ (docs/reliability.md), evaluation/ (scores of the last evaluation).
/// Returns the last evaluation's scores if there was one. SIGTERM, SIGINT or SIGUSR1 let it finish the step, save and
/// throw StoppedBySignal. Throws TrainingDiverged after three steps in a row whose loss is not finite.
std::optional<data::ConfusionMatrix> train(const Recipe& recipe, const TrainingOptions& options);

}  // namespace psanet::apps
