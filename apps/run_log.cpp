#include "apps/run_log.h"

#include <fmt/format.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "engine/error.h"

namespace psanet::apps {

std::map<std::string, LoggedSeries> read_run_log(const std::filesystem::path& file) {
  std::ifstream in(file);
  if (!in) throw ConfigError(fmt::format("{}: cannot be read; want the metrics.jsonl of a run folder", file.string()));
  std::map<std::string, LoggedSeries> log;
  std::string line;
  for (int number = 1; std::getline(in, line); ++number) {
    const bool cut_off = in.eof();  // no newline behind it
    if (line.empty()) continue;
    const nlohmann::json entry = nlohmann::json::parse(line, nullptr, false);
    const bool good = entry.is_object() && entry.contains("iteration") && entry["iteration"].is_number();
    if (!good && cut_off) break;
    if (!good) {
      throw ConfigError(
          fmt::format("{}, line {}: want a JSON object with a number \"iteration\"", file.string(), number));
    }
    const double iteration = entry["iteration"];
    for (const auto& [key, value] : entry.items()) {
      if (key == "iteration" || !value.is_number()) continue;
      LoggedSeries& series = log[key];
      while (!series.iterations.empty() && series.iterations.back() >= iteration) {
        series.iterations.pop_back();
        series.values.pop_back();
      }
      series.iterations.push_back(iteration);
      series.values.push_back(value);
    }
  }
  return log;
}

}  // namespace psanet::apps
