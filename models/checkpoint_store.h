// The checkpoints of a run: which are kept, which is the newest that is whole.
#pragma once

#include <functional>
#include <optional>

#include "models/checkpoint.h"

namespace psanet::models {

/// Which checkpoints stay.
struct Retention {
  int64_t last = 2;         // that many newest ones; at least 1
  std::string best_metric;  // and the one with the best value of this metric, if not empty; of equal ones the first
};

/// Is a larger value of this metric better? Of a loss ("loss_val") a smaller one is.
bool larger_is_better(const std::string& metric);

/// A folder with a manifest and a tensor file for each checkpoint. Not for several writers at a time.
class CheckpointStore {
 public:
  CheckpointStore(std::filesystem::path folder, Retention retention, FileSystem& files = real_files());

  const std::filesystem::path& folder() const { return folder_; }

  /// Is there anything, whole or not?
  bool empty() const;

  /// Writes it (making the folder if need be; its parent must be there), then removes what need not stay: older ones by
  /// the retention, later ones (they are damaged, or the run went back behind them), and what saves that were cut short
  /// left. Throws FileError: then the older checkpoints are as they were, and saving can be tried again.
  void save(const Checkpoint& checkpoint);

  /// Gives the checkpoint of that iteration metrics that were found out after it was saved; nothing happens if there is
  /// none. Throws FileError.
  void add_metrics(int64_t iteration, const std::map<std::string, double>& metrics);

  /// The iterations that have a manifest, rising.
  std::vector<int64_t> iterations() const;
  std::filesystem::path manifest(int64_t iteration) const { return folder_ / manifest_name(iteration); }

  /// The newest that is whole. `skipped` is told of every newer one, and why: "000000120.json: ...".
  std::optional<Checkpoint> newest(const std::function<void(const std::string&)>& skipped) const;

  /// The iteration, of those up to `up_to`, whose readable manifest has the best value of `metric`, and the value.
  std::optional<std::pair<int64_t, double>> best(const std::string& metric, int64_t up_to = INT64_MAX) const;

 private:
  /// Removes the files of the folder for which `goes(name)`, and makes that durable.
  void remove(const std::function<bool(const std::string&)>& goes);

  std::filesystem::path folder_;
  Retention retention_;
  FileSystem& files_;
};

}  // namespace psanet::models
