// Scoring a network on a split, and showing what it does.
#pragma once

#include <filesystem>
#include <functional>
#include <limits>

#include "data/dataset.h"
#include "data/metrics.h"
#include "data/samples.h"
#include "engine/communicator.h"
#include "models/prediction.h"

namespace psanet::apps {

/// What became of a split.
struct Evaluation {
  data::ConfusionMatrix scores;
  bool scored = false;  // there are labels
  int64_t images = 0;
  double seconds = 0, waited_seconds = 0;  // all together; for images that were not decoded yet

  /// "233 images in 12.3 s (18.9 a second), of which 0.1 s waiting for images"
  std::string pace() const;
};

/// Takes the label map of each sample, in order.
using PredictionSink = std::function<void(const data::Sample&, const data::LabelMap&)>;
/// The label map of a photograph at its own size.
using LabelFunction = std::function<data::LabelMap(const data::Image&)>;

/// What others do while a split is evaluated; each may be empty.
struct EvaluationHooks {
  std::function<void()> before_each;  // before every image (every round); what it throws ends the evaluation
  PredictionSink sink;  // of several ranks rank 0's is called, for all samples; all must have one, or none
  size_t sink_most = std::numeric_limits<size_t>::max();  // samples, from the first on, that the sink gets
  LabelFunction labels;  // makes the labels instead of the predictor (a CRF on its probabilities)
};

/// Predicts all samples, with a progress bar named `title`, and scores those with labels. Without a sink and a label
/// function only counts come back from the device. Images are decoded ahead by a thread. All ranks call it: sample i is
/// predicted by rank i % world, in rounds of one image a rank. The result is that of all of them, on every rank.
Evaluation evaluate(models::Predictor& predictor, const data::Dataset& dataset,
                    const std::vector<data::Sample>& samples, const std::string& title, const EvaluationHooks& hooks,
                    Communicator& ranks);

/// The counts of all ranks together; all must call it.
data::ConfusionMatrix over_ranks(const data::ConfusionMatrix& own, Communicator& ranks);

/// "mIoU 43.21  mAcc 53.40  pixel accuracy 80.01 (%)"
std::string summary(const data::ConfusionMatrix& scores);

/// A table for people: class, IoU, accuracy, share of pixels; then the means and how they are defined.
std::string class_table(const data::Dataset& dataset, const data::ConfusionMatrix& scores);

/// metrics.json, classes.csv, classes.txt, confusion.csv and confusion.png in the folder, each written whole.
/// `protocol` is kept beside the figures.
void write_scores(const std::filesystem::path& folder, const data::Dataset& dataset,
                  const data::ConfusionMatrix& scores, const std::string& protocol);

}  // namespace psanet::apps
