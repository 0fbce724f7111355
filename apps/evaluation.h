// Scoring a network on a split, and showing what it does.
#pragma once

#include <filesystem>
#include <functional>

#include "data/dataset.h"
#include "data/metrics.h"
#include "data/samples.h"

namespace psanet::apps {

/// The label map of a photograph at its own size.
using LabelFunction = std::function<data::LabelMap(const data::Image&)>;

/// Confusion counts of the predicted labels on all samples, with a progress bar named `title`. Label maps go to
/// `prediction_folder` (one indexed PNG an image) unless it is empty. `before_each`, if any, is called before every
/// image; what it throws ends the evaluation.
data::ConfusionMatrix evaluate(const LabelFunction& labels, const data::Dataset& dataset,
                               const std::vector<data::Sample>& samples, const std::string& title,
                               const std::filesystem::path& prediction_folder = {},
                               const std::function<void()>& before_each = {});

/// "mIoU 43.21  mAcc 53.40  pixel accuracy 80.01 (%)"
std::string summary(const data::ConfusionMatrix& scores);

/// A table for people: class, IoU, accuracy, share of pixels; then the means and how they are defined.
std::string class_table(const data::Dataset& dataset, const data::ConfusionMatrix& scores);

/// metrics.json, classes.csv and confusion.csv in the folder, each written whole. `protocol` is kept beside the
/// figures.
void write_scores(const std::filesystem::path& folder, const data::Dataset& dataset,
                  const data::ConfusionMatrix& scores, const std::string& protocol);

}  // namespace psanet::apps
