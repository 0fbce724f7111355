// What a training run logs: metrics.jsonl and TensorBoard's events; and the former read back.
#pragma once

#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "apps/event_file.h"
#include "data/image.h"

namespace psanet::apps {

/// Writes `<run>/metrics.jsonl`, a JSON object a line, and `<run>/events.out.tfevents...`. A disk that is full costs
/// lines of the log, never the run.
class RunLog {
 public:
  /// A run that goes on from iteration `start` (above 0) first takes out of metrics.jsonl what was logged behind it,
  /// for it will be logged again; `with_scores` keeps the scores of `start` itself. `text` (the recipe) is shown in
  /// TensorBoard. std::runtime_error if the files cannot be made.
  RunLog(const std::filesystem::path& run_folder, int64_t start, bool with_scores, const std::string& text);

  /// `numbers`: an object with "iteration"; every other number in it becomes a scalar there, too. TensorBoard has the
  /// official code's tags: loss -> loss_train_batch, loss.smooth -> loss_train, lr, mIoU_val, mAcc_val, allAcc_val, ...
  void add(const nlohmann::ordered_json& numbers);
  /// For TensorBoard alone.
  void picture(const std::string& tag, int64_t iteration, const data::Image& image);
  void flush() { lines_.flush(); }

 private:
  std::ofstream lines_;
  EventFile events_;
};

/// One quantity over the iterations of a run.
struct LoggedSeries {
  std::vector<double> iterations, values;
};

/// The numbers of a metrics.jsonl by their keys. Where a run was stopped and went on from an earlier checkpoint, the
/// lines that it then made again replace those of the first time. A last line that is cut off (the run was killed, or
/// is writing it just now) is left out; ConfigError with file and line for any other that is no JSON object with an
/// iteration, and if there is no such file.
std::map<std::string, LoggedSeries> read_run_log(const std::filesystem::path& file);

/// The lines of a metrics.jsonl that a run going on after `iterations` shall keep: whole ones up to there, without the
/// scores of that very iteration if they will be found anew.
std::string log_until(const std::string& log, int64_t iterations, bool keep_scores);

}  // namespace psanet::apps
