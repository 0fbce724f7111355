// Runs that take a few hundredths of a second: two convolutions on tiny scenes.
#pragma once

#include "tests/apps/programs.h"
#include "tests/support/temporary_folder.h"

namespace psanet::tests {

/// A folder with a recipe (40 iterations, a save after each, every checkpoint kept) and its model; runs go below it.
class TinyRun {
 public:
  TinyRun();

  std::filesystem::path folder(const std::string& run) const { return folder_ / run; }
  const std::filesystem::path& recipe() const { return recipe_; }
  const std::filesystem::path& model() const { return model_; }
  /// The command line of psanet-train, or training_with_faults, for a run in folder(run).
  std::vector<std::string> arguments(const std::string& run, const std::vector<std::string>& more = {}) const;

 private:
  TemporaryFolder folder_;
  std::filesystem::path recipe_, model_;
};

/// The newest whole checkpoint's iteration of a run folder; fails the test if any manifest in it is not readable.
int64_t newest_of(const std::filesystem::path& run);

/// Tensor by tensor, byte by byte.
/// The largest difference of a value between two checkpoints with the same tensors, over the largest value of its
/// tensor.
double worst_difference(const std::filesystem::path& manifest_a, const std::filesystem::path& manifest_b);
bool same_tensors(const std::filesystem::path& manifest_a, const std::filesystem::path& manifest_b);

/// "<run>/checkpoints/000000012.json"
std::filesystem::path manifest_of(const std::filesystem::path& run, int64_t iteration);

}  // namespace psanet::tests
