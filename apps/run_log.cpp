#include "apps/run_log.h"

#include <fmt/format.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>

#include "data/codec.h"
#include "engine/atomic_file.h"
#include "engine/error.h"
#include "engine/json/file.h"

namespace psanet::apps {

namespace {

/// A line of metrics.jsonl: an object with a number "iteration", or nothing.
std::optional<nlohmann::json> entry_of(const std::string& line) try {
  nlohmann::json entry = parse_json(line, "", raise<ConfigError>);
  const bool good = entry.is_object() && entry.contains("iteration") && entry["iteration"].is_number();
  return good ? std::optional(std::move(entry)) : std::nullopt;
} catch (const ConfigError&) {
  return std::nullopt;
}

bool is_score_line(const nlohmann::json& entry) {
  for (const auto& [key, value] : entry.items()) {
    if (key.ends_with("_val")) return true;
  }
  return false;
}

/// metrics.jsonl as far as a run that goes on keeps it; its path.
std::filesystem::path begun_log(const std::filesystem::path& run_folder, int64_t start, bool with_scores) {
  const std::filesystem::path file = run_folder / "metrics.jsonl";
  std::ostringstream log;
  if (start > 0) log << std::ifstream(file).rdbuf();
  write_text_atomically(file, log_until(log.str(), start, with_scores));
  return file;
}

/// The official training script's names.
std::string tag_of(const std::string& key) {
  if (key == "loss") return "loss_train_batch";
  if (key == "loss.smooth") return "loss_train";
  if (key == "loss.main") return "loss_train_batch_main";
  return key;
}

}  // namespace

std::string log_until(const std::string& log, int64_t iterations, bool keep_scores) {
  std::istringstream lines(log);
  std::string kept;
  for (std::string line; std::getline(lines, line);) {
    const std::optional<nlohmann::json> entry = entry_of(line);
    if (!entry) continue;  // cut off in the middle of a write
    const double iteration = entry->at("iteration").get<double>();
    if (iteration > static_cast<double>(iterations)) continue;
    if (iteration == static_cast<double>(iterations) && !keep_scores && is_score_line(*entry)) continue;
    kept += line + "\n";
  }
  return kept;
}

RunLog::RunLog(const std::filesystem::path& run_folder, int64_t start, bool with_scores, const std::string& text)
    : lines_(begun_log(run_folder, start, with_scores), std::ios::app), events_(run_folder, start > 0 ? start + 1 : 0) {
  events_.text("recipe", start, "```json\n" + text + "\n```");
}

void RunLog::add(const nlohmann::ordered_json& numbers) {
  lines_ << numbers.dump() << std::endl;
  lines_.clear();  // a full disk costs a line, not all that follow
  const auto iteration = numbers.at("iteration").get<int64_t>();
  for (const auto& [key, value] : numbers.items()) {
    if (key != "iteration" && value.is_number()) events_.scalar(tag_of(key), iteration, value.get<double>());
  }
}

void RunLog::picture(const std::string& tag, int64_t iteration, const data::Image& image) {
  events_.image(tag, iteration, image.height, image.width, data::png_bytes(image));
}

std::map<std::string, LoggedSeries> read_run_log(const std::filesystem::path& file) {
  std::ifstream in(file);
  if (!in) throw ConfigError(fmt::format("{}: cannot be read; want the metrics.jsonl of a run folder", file.string()));
  std::map<std::string, LoggedSeries> log;
  std::string line;
  for (int number = 1; std::getline(in, line); ++number) {
    const bool cut_off = in.eof();  // no newline behind it
    if (line.empty()) continue;
    const std::optional<nlohmann::json> entry = entry_of(line);
    if (!entry && cut_off) break;
    if (!entry) {
      throw ConfigError(
          fmt::format("{}, line {}: want a JSON object with a number \"iteration\"", file.string(), number));
    }
    const double iteration = entry->at("iteration");
    for (const auto& [key, value] : entry->items()) {
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
