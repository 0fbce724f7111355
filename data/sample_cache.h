// Decoded samples kept in memory.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <vector>

#include "data/samples.h"

namespace psanet::data {

/// Keeps samples until the limit is reached and from then on only what it has: with a random order, dropping old ones
/// for new ones would not raise the hit rate. Safe to use from several threads.
class SampleCache {
 public:
  SampleCache(std::size_t samples, std::size_t limit_bytes) : entries_(samples), limit_bytes_(limit_bytes) {}

  /// The sample, or null.
  std::shared_ptr<const LabelledImage> find(std::size_t index);
  void keep(std::size_t index, std::shared_ptr<const LabelledImage> sample);

 private:
  std::mutex mutex_;
  std::vector<std::shared_ptr<const LabelledImage>> entries_;
  std::size_t limit_bytes_, used_bytes_ = 0;
};

}  // namespace psanet::data
