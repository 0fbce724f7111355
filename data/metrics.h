// Scores over a whole set (SPEC 6), from one matrix of pixel counts.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "data/image.h"

namespace psanet::data {

/// Counts of (truth, prediction) pairs over all pixels whose truth is not ignored.
///
/// Two definitions of a mean over classes are in use. mean_iou() and mean_accuracy() count a class that never occurs as
/// 0, as the official code does; the *_present() ones leave it out. Say which one a printed figure is.
class ConfusionMatrix {
 public:
  explicit ConfusionMatrix(int classes);

  /// Adds the pixels of one image; both spans have the same length. A prediction of `ignore` on a pixel that has a
  /// class is a wrong one: it counts in the class's target and union. DataError for other values that are no class.
  void add(std::span<const std::uint8_t> prediction, std::span<const std::uint8_t> truth, int ignore = kIgnore);
  void add(const LabelMap& prediction, const LabelMap& truth, int ignore = kIgnore);
  /// Adds counts [classes, classes], truth major (what the engine's confusion op makes).
  void add_counts(std::span<const std::int64_t> counts);
  void merge(const ConfusionMatrix& other);

  int classes() const { return classes_; }
  const std::vector<std::int64_t>& counts() const { return counts_; }  ///< [classes, classes], truth major

  std::int64_t intersection(int c) const { return at(c, c); }
  std::int64_t target(int c) const;      ///< pixels whose truth is c
  std::int64_t prediction(int c) const;  ///< pixels predicted as c
  std::int64_t union_of(int c) const { return target(c) + prediction(c) - intersection(c); }
  bool present(int c) const { return union_of(c) > 0; }  ///< occurs in truth or prediction

  double iou(int c) const;       ///< intersection / (union + 1e-10)
  double accuracy(int c) const;  ///< intersection / (target + 1e-10)
  double mean_iou() const;
  double mean_iou_present() const;  ///< over classes with a union; 0 if there are none
  double mean_accuracy() const;
  double mean_accuracy_present() const;  ///< over classes that occur in the truth; 0 if there are none
  double pixel_accuracy() const;
  std::int64_t pixels() const;

 private:
  std::int64_t at(int truth, int predicted) const {
    return counts_[std::size_t(truth) * std::size_t(classes_) + std::size_t(predicted)];
  }

  int classes_;
  std::vector<std::int64_t> counts_;
  std::vector<std::int64_t> unpredicted_;  // [classes] by truth: pixels with no class predicted
};

}  // namespace psanet::data
