// One page that shows a training run.
#pragma once

#include <filesystem>
#include <string>

namespace psanet::apps {

/// A self-contained HTML page of a run folder: what was trained, the curves of metrics.jsonl (loss, scores, learning
/// rate, speed), the scores class by class, the confusion matrix, sample predictions, the whole recipe. What the folder
/// does not hold (a run that has not been scored yet) is left out. ConfigError if it is no run folder.
std::string run_report(const std::filesystem::path& run_folder);

}  // namespace psanet::apps
