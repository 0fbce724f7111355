// What a training run logged: metrics.jsonl, read back.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace psanet::apps {

/// One quantity over the iterations of a run.
struct LoggedSeries {
  std::vector<double> iterations, values;
};

/// The numbers of a metrics.jsonl by their keys. Where a run was stopped and went on from an earlier checkpoint, the
/// lines that it then made again replace those of the first time. A last line that is cut off (the run was killed, or
/// is writing it just now) is left out; ConfigError with file and line for any other that is no JSON object with an
/// iteration, and if there is no such file.
std::map<std::string, LoggedSeries> read_run_log(const std::filesystem::path& file);

}  // namespace psanet::apps
