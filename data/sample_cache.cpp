#include "data/sample_cache.h"

namespace psanet::data {

std::shared_ptr<const LabelledImage> SampleCache::find(std::size_t index) {
  if (limit_bytes_ == 0) return nullptr;
  const std::lock_guard lock(mutex_);
  return entries_[index];
}

void SampleCache::keep(std::size_t index, std::shared_ptr<const LabelledImage> sample) {
  const std::size_t bytes = sample->image.pixels.size() + sample->label.labels.size();
  const std::lock_guard lock(mutex_);
  if (entries_[index] || bytes > limit_bytes_ - used_bytes_) return;
  used_bytes_ += bytes;
  entries_[index] = std::move(sample);
}

}  // namespace psanet::data
