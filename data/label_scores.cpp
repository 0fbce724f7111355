#include "data/label_scores.h"

#include <fmt/format.h>

#include <map>
#include <mutex>

#include "data/codec.h"
#include "data/error.h"
#include "data/folder_files.h"
#include "data/samples.h"

namespace psanet::data {
namespace {

namespace fs = std::filesystem;

LabelMap load_prediction(const Dataset& dataset, const fs::path& file, PredictionValues values) {
  if (values == PredictionValues::file_values) return load_label(dataset, file);
  LabelMap label = read_label(file);
  for (std::size_t i = 0; i < label.labels.size(); ++i) {
    if (label.labels[i] == kIgnore || label.labels[i] < dataset.class_count()) continue;
    const auto width = std::size_t(label.width);
    throw DataError(fmt::format("{}: value {} at x={} y={} is no class index of {} (0..{}); are these file values?",
                                file.string(), label.labels[i], i % width, i / width, dataset.name,
                                dataset.class_count() - 1));
  }
  return label;
}

}  // namespace

std::vector<ScoredTruth> truths_in(const fs::path& folder) {
  std::vector<ScoredTruth> truths;
  for (const fs::path& file : files_ending(folder, ".png", true)) truths.push_back({file, {}});
  if (truths.empty()) throw DataError(fmt::format("{}: no label PNG (*.png) below this folder", folder.string()));
  return truths;
}

std::vector<ScorePair> pair_predictions(const std::vector<ScoredTruth>& truths, const fs::path& folder) {
  if (!is_folder(folder)) throw DataError(fmt::format("the predictions {} are not a folder", folder.string()));
  std::map<std::string, std::vector<fs::path>> by_stem;
  for (const fs::path& file : files_ending(folder, ".png", true)) by_stem[file.stem().string()].push_back(file);
  std::vector<ScorePair> pairs;
  std::size_t missing = 0;
  std::string first;
  for (const ScoredTruth& truth : truths) {
    const std::string stem = truth.truth.stem().string(), image_stem = truth.image.stem().string();
    auto found = by_stem.find(stem);
    if (found == by_stem.end()) found = by_stem.find(image_stem);
    if (found == by_stem.end()) {
      if (missing++ == 0) {
        first = fmt::format("{}.png", stem);
        if (!image_stem.empty() && image_stem != stem) first += fmt::format(" or {}.png", image_stem);
      }
      continue;
    }
    if (found->second.size() > 1) {
      throw DataError(fmt::format("{}: {} and {} could both be the prediction for {}; keep one", folder.string(),
                                  found->second[0].string(), found->second[1].string(), truth.truth.string()));
    }
    pairs.push_back({truth.truth, found->second[0]});
  }
  if (missing > 0) {
    throw DataError(
        fmt::format("{}: {} of {} predictions are missing, the first is {}; scores are of whole sets: predict "
                    "them, or give a list of the truths that were predicted",
                    folder.string(), missing, truths.size(), first));
  }
  return pairs;
}

ConfusionMatrix score_label_files(const Dataset& dataset, const std::vector<ScorePair>& pairs, PredictionValues values,
                                  int threads, const ProgressCallback& progress) {
  ConfusionMatrix scores(dataset.class_count());
  std::mutex mutex;
  for_each_index(
      pairs.size(), threads,
      [&](std::size_t i) {
        const LabelMap truth = load_label(dataset, pairs[i].truth);
        const LabelMap prediction = load_prediction(dataset, pairs[i].prediction, values);
        if (prediction.height != truth.height || prediction.width != truth.width) {
          throw DataError(
              fmt::format("{}: the prediction is {} x {} pixels (width x height) but the truth {} is {} x {}; "
                          "resize it to the size of the image",
                          pairs[i].prediction.string(), prediction.width, prediction.height, pairs[i].truth.string(),
                          truth.width, truth.height));
        }
        ConfusionMatrix one(dataset.class_count());
        one.add(prediction, truth);
        const std::lock_guard lock(mutex);
        scores.merge(one);
      },
      progress);
  return scores;
}

}  // namespace psanet::data
