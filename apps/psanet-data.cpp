// psanet-data: prepares, checks and describes data sets, and scores label files.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "apps/app.h"
#include "apps/evaluation.h"
#include "apps/progress.h"
#include "data/codec.h"
#include "data/dataset_check.h"
#include "data/dataset_statistics.h"
#include "data/error.h"
#include "data/file_bytes.h"
#include "data/label_scores.h"
#include "data/prepare/prepare.h"
#include "engine/error.h"

namespace psanet::apps {
namespace {

/// A progress bar that opens when the first piece is done.
class Bar {
 public:
  explicit Bar(std::string title) : title_(std::move(title)) {}
  data::ProgressCallback callback() {
    return [this](size_t done, size_t total) {
      if (!progress_) progress_ = std::make_unique<Progress>(title_, static_cast<int64_t>(total));
      progress_->update(static_cast<int64_t>(done), "files");
    };
  }
  void finish() { progress_.reset(); }

 private:
  std::string title_;
  std::unique_ptr<Progress> progress_;
};

/// What all commands have.
struct Common {
  std::string dataset;
  std::filesystem::path root;
  int64_t threads = 0;

  void add_to(App& app, const std::string& about_dataset) {
    app.option("dataset", dataset, about_dataset);
    app.require("dataset");
    app.option("--root", root, "the data root: the folder that list files are relative to");
    app.option("--threads", threads, "processor threads (0: all)");
  }
  int thread_count() const { return static_cast<int>(std::min<int64_t>(threads, 1024)); }
};

constexpr const char* kAnyDataset = "a name (ade20k, voc2012, cityscapes, camvid, scenes) or a dataset.json";

void prepare(const Common& common, data::PrepareOptions options) {
  Bar bar("annotations");
  options.root = common.root;
  options.threads = common.thread_count();
  options.progress = bar.callback();
  const data::PrepareReport report = data::prepare_dataset(data::load_dataset(common.dataset), options);
  bar.finish();
  for (const std::string& remark : report.remarks) fmt::print("remark: {}\n", remark);
  for (const data::PreparedSplit& s : report.splits) {
    fmt::print("{}: {} images{} in {}\n", s.split, s.samples,
               s.samples == s.official ? std::string(", the official number,") : fmt::format(" of {}", s.official),
               s.list.string());
  }
  fmt::print("look for damaged files with: psanet-data check {} --root {}\n", common.dataset, common.root.string());
}

const char* severity_name(data::Severity severity) {
  return severity == data::Severity::error ? "error" : "warning";
}

std::string check_json(const data::Dataset& dataset, const Common& common, const data::CheckReport& report) {
  nlohmann::ordered_json document = {{"dataset", dataset.name},
                                     {"root", common.root.string()},
                                     {"errors", report.count(data::Severity::error)},
                                     {"warnings", report.count(data::Severity::warning)},
                                     {"splits", nlohmann::ordered_json::array()},
                                     {"problems", nlohmann::ordered_json::array()}};
  for (const data::CheckedSplit& s : report.splits) {
    document["splits"].push_back({{"split", s.split},
                                  {"list", s.list.string()},
                                  {"samples", s.samples},
                                  {"good", s.good},
                                  {"label_pixels", s.pixels},
                                  {"ignored_pixels", s.ignored_pixels},
                                  {"class_pixels", s.class_pixels}});
  }
  for (const data::Problem& p : report.problems) {
    nlohmann::ordered_json problem = {
        {"severity", severity_name(p.severity)}, {"kind", p.kind}, {"split", p.split}, {"text", p.text}};
    if (p.line > 0) problem["line"] = p.line;
    document["problems"].push_back(problem);
  }
  // File names are bytes; what is not UTF-8 is replaced instead of refused.
  return document.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

void print_check(const data::CheckReport& report, size_t limit) {
  std::map<std::string, size_t> kinds;
  for (size_t i = 0; i < report.problems.size(); ++i) {
    const data::Problem& p = report.problems[i];
    ++kinds[fmt::format("{}: {}", severity_name(p.severity), p.kind)];
    if (i < limit) fmt::print("{}: {}: {}\n", severity_name(p.severity), p.split, p.text);
  }
  if (report.problems.size() > limit)
    fmt::print("... and {} more (--limit, --report)\n", report.problems.size() - limit);
  fmt::print("{:<8} {:>8} {:>8} {:>14} {:>10}\n", "split", "samples", "good", "label pixels", "ignored %");
  for (const data::CheckedSplit& s : report.splits) {
    fmt::print("{:<8} {:>8} {:>8} {:>14} {:>10.2f}\n", s.split, s.samples, s.good, s.pixels,
               s.pixels > 0 ? 100 * static_cast<double>(s.ignored_pixels) / static_cast<double>(s.pixels) : 0);
  }
  for (const auto& [kind, count] : kinds) fmt::print("{:>6} x {}\n", count, kind);
}

void check(const Common& common, const std::vector<std::string>& splits, int64_t limit,
           const std::filesystem::path& report_file) {
  const data::Dataset dataset = data::load_dataset(common.dataset);
  Bar bar("check");
  const data::CheckReport report = data::check_dataset(
      dataset, common.root, {.splits = splits, .threads = common.thread_count(), .progress = bar.callback()});
  bar.finish();
  print_check(report, static_cast<size_t>(limit));
  if (!report_file.empty()) data::write_file_text(report_file, check_json(dataset, common, report));
  const size_t errors = report.count(data::Severity::error), warnings = report.count(data::Severity::warning);
  if (errors > 0) {
    throw data::DataError(fmt::format("{} in {}: {} errors and {} warnings; correct them before training", dataset.name,
                                      common.root.string(), errors, warnings));
  }
  fmt::print("no errors, {} warnings\n", warnings);
}

void stats(const Common& common, const std::string& split, std::filesystem::path folder) {
  const data::Dataset dataset = data::load_dataset(common.dataset);
  const auto samples = data::read_list(dataset, common.root, split);
  Bar bar("stats");
  const data::DatasetStatistics statistics =
      data::collect_statistics(dataset, samples, common.thread_count(), bar.callback());
  bar.finish();
  if (statistics.pixels == 0)
    throw data::DataError(fmt::format("the split {} of {} has no labels to count", split, dataset.name));
  fmt::print("{}", data::statistics_table(dataset, statistics));
  if (folder.empty()) folder = fmt::format("{}-{}-statistics", dataset.name, split);
  data::make_folder(folder);
  data::write_png(folder / "classes.png", data::statistics_chart(dataset, statistics, split));
  data::write_file_text(folder / "classes.csv", data::statistics_csv(dataset, statistics));
  data::write_file_text(folder / "statistics.json", data::statistics_json(dataset, statistics, split));
  fmt::print("chart and tables written to {}\n", folder.string());
}

struct ScoreOptions {
  std::filesystem::path truth, prediction, output;
  std::string split = "val";
  bool class_indices = false;
};

std::vector<data::ScoredTruth> find_truths(const data::Dataset& dataset, const Common& common,
                                           const ScoreOptions& options) {
  if (options.truth.empty() && common.root.empty()) throw ConfigError("score needs --truth, or --root and a --split");
  if (std::filesystem::is_directory(options.truth)) return data::truths_in(options.truth);
  const auto root = common.root.empty() ? options.truth.parent_path() : common.root;
  const auto samples = options.truth.empty() ? data::read_list(dataset, root, options.split)
                                             : data::read_list_file(options.truth, root, true);
  std::vector<data::ScoredTruth> truths;
  for (const data::Sample& sample : samples) {
    if (sample.label.empty())
      throw data::DataError(fmt::format("{} has no label to score against", sample.image.string()));
    truths.push_back({sample.label, sample.image});
  }
  return truths;
}

void score(const Common& common, const ScoreOptions& options) {
  const data::Dataset dataset = data::load_dataset(common.dataset);
  const auto pairs = data::pair_predictions(find_truths(dataset, common, options), options.prediction);
  Bar bar("score");
  const data::ConfusionMatrix scores = data::score_label_files(
      dataset, pairs,
      options.class_indices ? data::PredictionValues::class_indices : data::PredictionValues::file_values,
      common.thread_count(), bar.callback());
  bar.finish();
  const std::string protocol = fmt::format("{} label files of {}", pairs.size(), options.prediction.string());
  fmt::print("{}{}\n", class_table(dataset, scores), protocol);
  if (options.output.empty()) return;
  write_scores(options.output, dataset, scores, protocol);
  fmt::print("written to {}\n", options.output.string());
}

}  // namespace
}  // namespace psanet::apps

int main(int argc, char** argv) {
  using namespace psanet;
  apps::App app("psanet-data", "Prepares, checks and describes data sets, and scores label files (docs/data.md).");
  apps::Common common;
  data::PrepareOptions prepare_options;
  apps::App& prepare =
      app.command("prepare", "Writes the list files of a data set from its official layout on disk, after checking it.",
                  [&] { apps::prepare(common, prepare_options); });
  common.add_to(prepare, "ade20k, voc2012, cityscapes or camvid");
  prepare.require("--root");
  prepare.option("--sbd", prepare_options.sbd, "voc2012: the unpacked SBD (default: benchmark_RELEASE below --root)");
  prepare.flag("--partial", prepare_options.partial, "uses an incomplete copy as it is, instead of refusing it");
  prepare.flag("--overwrite", prepare_options.overwrite, "replaces list files with other contents");

  std::vector<std::string> check_splits;
  int64_t check_limit = 100;
  std::filesystem::path check_report;
  apps::App& check = app.command("check", "Finds bad labels, sizes, files and lists before training (exit code 3).",
                                 [&] { apps::check(common, check_splits, check_limit, check_report); });
  common.add_to(check, apps::kAnyDataset);
  check.require("--root");
  check.option("--split", check_splits, "splits to look at (default: all)");
  check.option("--limit", check_limit, "problems to print");
  check.option("--report", check_report, "a JSON file for all problems");

  std::string stats_split = "train";
  std::filesystem::path stats_folder;
  apps::App& stats = app.command("stats", "Counts classes, sizes and colours; draws a chart of class frequencies.",
                                 [&] { apps::stats(common, stats_split, stats_folder); });
  common.add_to(stats, apps::kAnyDataset);
  stats.require("--root");
  stats.option("--split", stats_split, "split to count");
  stats.option("--output", stats_folder,
               "folder for classes.png, classes.csv, statistics.json (default: <dataset>-<split>-statistics)");

  apps::ScoreOptions score_options;
  apps::App& score = app.command("score", "Scores predicted label PNGs against the truth.",
                                 [&] { apps::score(common, score_options); });
  common.add_to(score, apps::kAnyDataset);
  score.option("--split", score_options.split, "with --root: the split whose labels are the truth");
  score.option("--truth", score_options.truth, "a folder of label PNGs, or a list file, instead of --split");
  score.option("--prediction", score_options.prediction, "folder of label PNGs named like the truths or the images");
  score.require("--prediction");
  score.flag("--class-indices", score_options.class_indices,
             "predictions hold class indices (as psanet-predict writes them), not the dataset's file values");
  score.option("--output", score_options.output, "folder for metrics.json, classes.csv, confusion.csv");
  return app.run(argc, argv);
}
