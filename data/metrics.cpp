#include "data/metrics.h"

#include <fmt/format.h>

#include <numeric>

#include "data/error.h"

namespace psanet::data {
namespace {

constexpr double kEpsilon = 1e-10;  // the official code's guard against 0 / 0

double mean(const std::vector<double>& scores) {
  return scores.empty() ? 0 : std::accumulate(scores.begin(), scores.end(), 0.0) / double(scores.size());
}

}  // namespace

ConfusionMatrix::ConfusionMatrix(int classes) : classes_(classes) {
  if (classes < 1 || classes > 255)
    throw DataError(fmt::format("a confusion matrix of {} classes, wanted 1..255", classes));
  counts_.resize(std::size_t(classes) * std::size_t(classes));
  unpredicted_.resize(std::size_t(classes));
}

void ConfusionMatrix::add(std::span<const std::uint8_t> prediction, std::span<const std::uint8_t> truth, int ignore) {
  if (prediction.size() != truth.size()) {
    throw DataError(
        fmt::format("scoring a prediction of {} pixels against a truth of {}", prediction.size(), truth.size()));
  }
  // Check first, so that a bad image adds nothing.
  for (std::size_t i = 0; i < truth.size(); ++i) {
    if (truth[i] == ignore) continue;
    if (truth[i] >= classes_)
      throw DataError(
          fmt::format("scoring: truth {} at pixel {}, wanted 0..{} or {}", truth[i], i, classes_ - 1, ignore));
    if (prediction[i] >= classes_ && prediction[i] != ignore)
      throw DataError(fmt::format("scoring: prediction {} at pixel {}, wanted 0..{}", prediction[i], i, classes_ - 1));
  }
  for (std::size_t i = 0; i < truth.size(); ++i) {
    if (truth[i] == ignore) continue;
    if (prediction[i] == ignore) {
      ++unpredicted_[truth[i]];
    } else {
      ++counts_[std::size_t(truth[i]) * std::size_t(classes_) + prediction[i]];
    }
  }
}

void ConfusionMatrix::add(const LabelMap& prediction, const LabelMap& truth, int ignore) {
  if (prediction.height != truth.height || prediction.width != truth.width) {
    throw DataError(fmt::format("scoring a prediction of {} x {} pixels (width x height) against a truth of {} x {}",
                                prediction.width, prediction.height, truth.width, truth.height));
  }
  add(std::span(prediction.labels), std::span(truth.labels), ignore);
}

void ConfusionMatrix::add_counts(std::span<const std::int64_t> counts) {
  if (counts.size() != counts_.size()) {
    throw DataError(fmt::format("adding {} counts to a confusion matrix of {} classes, wanted {}", counts.size(),
                                classes_, counts_.size()));
  }
  for (std::size_t i = 0; i < counts.size(); ++i) counts_[i] += counts[i];
}

void ConfusionMatrix::merge(const ConfusionMatrix& other) {
  add_counts(other.counts_);
  for (std::size_t c = 0; c < unpredicted_.size(); ++c) unpredicted_[c] += other.unpredicted_[c];
}

std::int64_t ConfusionMatrix::target(int c) const {
  std::int64_t sum = unpredicted_[std::size_t(c)];
  for (int p = 0; p < classes_; ++p) sum += at(c, p);
  return sum;
}

std::int64_t ConfusionMatrix::prediction(int c) const {
  std::int64_t sum = 0;
  for (int t = 0; t < classes_; ++t) sum += at(t, c);
  return sum;
}

double ConfusionMatrix::iou(int c) const {
  return double(intersection(c)) / (double(union_of(c)) + kEpsilon);
}

double ConfusionMatrix::accuracy(int c) const {
  return double(intersection(c)) / (double(target(c)) + kEpsilon);
}

double ConfusionMatrix::mean_iou() const {
  std::vector<double> scores;
  for (int c = 0; c < classes_; ++c) scores.push_back(iou(c));
  return mean(scores);
}

double ConfusionMatrix::mean_iou_present() const {
  std::vector<double> scores;
  for (int c = 0; c < classes_; ++c) {
    if (present(c)) scores.push_back(iou(c));
  }
  return mean(scores);
}

double ConfusionMatrix::mean_accuracy() const {
  std::vector<double> scores;
  for (int c = 0; c < classes_; ++c) scores.push_back(accuracy(c));
  return mean(scores);
}

double ConfusionMatrix::mean_accuracy_present() const {
  std::vector<double> scores;
  for (int c = 0; c < classes_; ++c) {
    if (target(c) > 0) scores.push_back(accuracy(c));
  }
  return mean(scores);
}

double ConfusionMatrix::pixel_accuracy() const {
  std::int64_t right = 0;
  for (int c = 0; c < classes_; ++c) right += intersection(c);
  return double(right) / (double(pixels()) + kEpsilon);
}

std::int64_t ConfusionMatrix::pixels() const {
  std::int64_t sum = 0;
  for (int c = 0; c < classes_; ++c) sum += target(c);
  return sum;
}

}  // namespace psanet::data
