// Scores of label files that somebody predicted, against the truth (SPEC 6).
#pragma once

#include <filesystem>
#include <vector>

#include "data/dataset.h"
#include "data/metrics.h"
#include "data/parallel.h"

namespace psanet::data {

/// What the values of predicted label files are.
enum class PredictionValues {
  file_values,   ///< as in the dataset's own label files: 1..150 for ADE20K, labelIds for Cityscapes
  class_indices  ///< 0..classes-1, as psanet-predict and psanet-eval write them
};

struct ScorePair {
  std::filesystem::path truth, prediction;
};

/// A label file, and the image it belongs to, if known.
struct ScoredTruth {
  std::filesystem::path truth, image;
};

/// The predictions for these truths: the PNG, anywhere below the folder, that is named like the truth or like its
/// image. DataError if some are missing, or two have that name.
std::vector<ScorePair> pair_predictions(const std::vector<ScoredTruth>& truths, const std::filesystem::path& folder);

/// All label PNGs below a folder, sorted. DataError if there are none.
std::vector<ScoredTruth> truths_in(const std::filesystem::path& folder);

/// Adds up all pairs. A prediction without a class (a value that the label map ignores) on a pixel that has one counts
/// as wrong. DataError naming the file for other values, sizes that differ and files that cannot be read.
ConfusionMatrix score_label_files(const Dataset& dataset, const std::vector<ScorePair>& pairs, PredictionValues values,
                                  int threads, const ProgressCallback& progress = {});

}  // namespace psanet::data
