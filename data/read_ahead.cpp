#include "data/read_ahead.h"

#include <chrono>

namespace psanet::data {

ReadAhead::ReadAhead(const Dataset& dataset, std::vector<Sample> samples, std::size_t ahead)
    : dataset_(dataset), samples_(std::move(samples)), ahead_(ahead), thread_([this] { decode_all(); }) {}

ReadAhead::~ReadAhead() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void ReadAhead::decode_all() {
  for (const Sample& sample : samples_) {
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return stop_ || ready_.size() < ahead_; });
      if (stop_) return;
    }
    Decoded decoded;
    try {
      decoded.sample = load_sample(dataset_, sample);
    } catch (...) {
      decoded.error = std::current_exception();
    }
    {
      const std::lock_guard lock(mutex_);
      ready_.push_back(std::move(decoded));
    }
    changed_.notify_all();
  }
}

LabelledImage ReadAhead::next() {
  const auto start = std::chrono::steady_clock::now();
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return !ready_.empty(); });
  Decoded decoded = std::move(ready_.front());
  ready_.pop_front();
  lock.unlock();
  changed_.notify_all();
  waited_seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (decoded.error) std::rethrow_exception(decoded.error);
  return std::move(decoded.sample);
}

}  // namespace psanet::data
