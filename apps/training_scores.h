// How well the network does on the batches that it is trained on.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "data/metrics.h"
#include "engine/communicator.h"
#include "engine/program.h"

namespace psanet::apps {

/// Sums up the output "confusion" of a training step: of this rank's part of the batches, until of_update() or
/// since_last_call(), which all ranks must call, put those of all ranks together.
class TrainingScores {
 public:
  /// `step` runs `batches` times an update. The counts of two updates may be under way at a time.
  TrainingScores(Program& step, int classes, int64_t batches);

  /// Behind the launch of batch `batch` of update `update`.
  void request(int64_t update, int64_t batch);
  /// Waits for the counts of an update and takes them in.
  void take(int64_t update);

  /// Of the update that was taken last.
  data::ConfusionMatrix of_update(Communicator& ranks) const;
  /// Of everything taken since the last call.
  data::ConfusionMatrix since_last_call(Communicator& ranks);

 private:
  size_t place(int64_t update, int64_t batch) const { return static_cast<size_t>(update % 2 * batches_ + batch); }

  int64_t batches_;
  std::vector<std::unique_ptr<kernels::Readback>> counts_;
  data::ConfusionMatrix update_, sum_;
};

}  // namespace psanet::apps
