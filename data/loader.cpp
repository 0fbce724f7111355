#include "data/loader.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <numeric>
#include <stdexcept>
#include <thread>

#include "data/error.h"
#include "data/random.h"
#include "data/sample_cache.h"

namespace psanet::data {

std::vector<std::uint32_t> epoch_order(std::size_t count, std::uint64_t seed, std::int64_t epoch) {
  std::vector<std::uint32_t> order(count);
  std::iota(order.begin(), order.end(), 0u);
  KeyedRandom random(seed, Purpose::shuffle, std::uint32_t(epoch), 0);
  for (std::size_t i = count; i > 1; --i) std::swap(order[i - 1], order[random.below(std::uint32_t(i))]);
  return order;
}

/// A ring of batch buffers. The batch of iteration i lives in slot i % slots. Workers take the samples of the coming
/// iterations one by one, in order, as long as the slot is not the one the caller is reading.
class Loader::Impl {
 public:
  Impl(Dataset dataset, std::vector<Sample> samples, LoaderConfig config)
      : dataset_(std::move(dataset)),
        samples_(std::move(samples)),
        config_(std::move(config)),
        cache_(samples_.size(), config_.cache_bytes) {
    check_settings();
    local_batch_ = config_.count > 0 ? config_.count : config_.batch - config_.first;
    per_epoch_ = std::int64_t(samples_.size()) / config_.batch;
    slots_.resize(config_.workers == 0 ? 1 : std::size_t(config_.prefetch) + 1);
    const std::size_t pixels =
        std::size_t(local_batch_) * std::size_t(config_.augment.crop_h) * std::size_t(config_.augment.crop_w);
    for (Slot& slot : slots_) {
      slot.images.resize(pixels * 3);
      slot.labels.resize(pixels);
      slot.errors.resize(std::size_t(local_batch_));
    }
    restart(0);
    try {
      for (int i = 0; i < config_.workers; ++i) threads_.emplace_back([this] { work(); });
    } catch (...) {
      stop();
      throw;
    }
  }

  ~Impl() { stop(); }

  Batch next() {
    std::unique_lock lock(mutex_);
    if (holding_) {  // the caller is done with the batch of the last call
      holding_ = false;
      ++wanted_;
      work_ready_.notify_all();
    }
    Slot& slot = slot_of(wanted_);
    if (config_.workers == 0) {
      AugmentScratch& scratch = own_scratch_;
      while (next_iteration_ <= wanted_) {
        const Task task = take_task();
        lock.unlock();
        std::exception_ptr error = make_sample(task, scratch);
        lock.lock();
        finish(task, error);
      }
    }
    batch_ready_.wait(lock, [&] { return next_iteration_ > wanted_ && slot.missing == 0; });
    for (const std::exception_ptr& error :
         slot.errors) {  // the first in batch order, whichever worker met its error first
      if (error) std::rethrow_exception(error);
    }
    holding_ = true;
    return {wanted_,
            wanted_ / per_epoch_,
            local_batch_,
            config_.augment.crop_h,
            config_.augment.crop_w,
            slot.images.data(),
            slot.labels.data()};
  }

  void seek(std::int64_t iteration) {
    if (iteration < 0)
      throw std::invalid_argument(fmt::format("loader: seek to iteration {}, wanted 0 or more", iteration));
    std::unique_lock lock(mutex_);
    paused_ = true;
    idle_.wait(lock, [&] { return active_ == 0; });
    restart(iteration);
    paused_ = false;
    work_ready_.notify_all();
  }

  std::int64_t iterations_per_epoch() const { return per_epoch_; }

 private:
  struct Slot {
    std::vector<float> images;         ///< [local batch, crop_h, crop_w, 3]
    std::vector<std::uint8_t> labels;  ///< [local batch, crop_h, crop_w]
    std::vector<std::exception_ptr> errors;
    int missing = 0;  ///< samples not finished yet
  };
  struct Task {
    Slot* slot;
    int place;  ///< in the local batch
    std::int64_t epoch;
    std::uint32_t sample;  ///< index in the list
  };

  void check_settings() {
    const auto require = [](bool good, const std::string& what) {
      if (!good) throw std::invalid_argument("loader: " + what);
    };
    check(config_.augment);
    require(config_.batch > 0, fmt::format("a batch of {}, wanted a positive number", config_.batch));
    require(config_.first >= 0 && config_.first < config_.batch && config_.count >= 0 &&
                config_.first + config_.count <= config_.batch,
            fmt::format("{} samples from {} on of a batch of {}", config_.count, config_.first, config_.batch));
    require(config_.workers >= 0 && config_.workers <= 1024,
            fmt::format("{} workers, wanted 0..1024", config_.workers));
    require(config_.prefetch >= 1, fmt::format("prefetch of {} batches, wanted at least 1", config_.prefetch));
    if (samples_.size() < std::size_t(config_.batch)) {
      throw DataError(fmt::format("{} samples of {} fill no batch of {}; use a smaller batch or more images",
                                  samples_.size(), dataset_.name, config_.batch));
    }
    for (const Sample& sample : samples_) {
      if (sample.label.empty())
        throw DataError(fmt::format("{}: the list gives no label for it, training needs one", sample.image.string()));
    }
  }

  Slot& slot_of(std::int64_t iteration) { return slots_[std::size_t(iteration) % slots_.size()]; }

  /// With the lock held and no worker active.
  void restart(std::int64_t iteration) {
    wanted_ = next_iteration_ = iteration;
    next_place_ = 0;
    holding_ = false;
    for (Slot& slot : slots_) slot.missing = 0;
  }

  bool task_available() const { return next_iteration_ < wanted_ + std::int64_t(slots_.size()); }

  /// With the lock held.
  Task take_task() {
    Slot& slot = slot_of(next_iteration_);
    if (next_place_ == 0) {
      slot.missing = local_batch_;
      std::fill(slot.errors.begin(), slot.errors.end(), nullptr);
    }
    const std::int64_t epoch = next_iteration_ / per_epoch_;
    const auto position = std::size_t((next_iteration_ % per_epoch_) * config_.batch + config_.first + next_place_);
    const Task task{&slot, next_place_, epoch, order_of(epoch)[position]};
    if (++next_place_ == local_batch_) {
      next_place_ = 0;
      ++next_iteration_;
    }
    return task;
  }

  const std::vector<std::uint32_t>& order_of(std::int64_t epoch) {
    if (epoch != order_epoch_) {
      order_ = epoch_order(samples_.size(), config_.seed, epoch);
      order_epoch_ = epoch;
    }
    return order_;
  }

  /// Without the lock: writes the sample into its place; returns what went wrong.
  std::exception_ptr make_sample(const Task& task, AugmentScratch& scratch) {
    try {
      std::shared_ptr<const LabelledImage> sample = cache_.find(task.sample);
      if (!sample) {
        sample = std::make_shared<const LabelledImage>(load_sample(dataset_, samples_[task.sample]));
        cache_.keep(task.sample, sample);
      }
      const AugmentDraw draw = draw_augmentation(config_.augment, config_.seed, std::uint32_t(task.epoch), task.sample,
                                                 sample->image.height, sample->image.width);
      const std::size_t pixels =
          std::size_t(config_.augment.crop_h) * std::size_t(config_.augment.crop_w) * std::size_t(task.place);
      apply_augmentation(config_.augment, draw, sample->image, sample->label, scratch,
                         task.slot->images.data() + pixels * 3, task.slot->labels.data() + pixels);
      return nullptr;
    } catch (...) {
      return std::current_exception();
    }
  }

  /// With the lock held.
  void finish(const Task& task, const std::exception_ptr& error) {
    task.slot->errors[std::size_t(task.place)] = error;
    if (--task.slot->missing == 0) batch_ready_.notify_all();
  }

  void work() {
    AugmentScratch scratch;
    std::unique_lock lock(mutex_);
    for (;;) {
      work_ready_.wait(lock, [&] { return stopping_ || (!paused_ && task_available()); });
      if (stopping_) return;
      const Task task = take_task();
      ++active_;
      lock.unlock();
      std::exception_ptr error = make_sample(task, scratch);
      lock.lock();
      finish(task, error);
      if (--active_ == 0) idle_.notify_all();
    }
  }

  void stop() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    work_ready_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

  const Dataset dataset_;
  const std::vector<Sample> samples_;
  const LoaderConfig config_;
  SampleCache cache_;
  int local_batch_ = 0;
  std::int64_t per_epoch_ = 0;
  AugmentScratch own_scratch_;  // used by next() when there are no workers

  std::mutex mutex_;
  std::condition_variable work_ready_, batch_ready_, idle_;
  std::vector<Slot> slots_;
  std::int64_t wanted_ = 0;          // the iteration that next() gives or has given
  bool holding_ = false;             // the caller reads the slot of wanted_
  std::int64_t next_iteration_ = 0;  // of the next task
  int next_place_ = 0;
  int active_ = 0;
  bool paused_ = false, stopping_ = false;
  std::vector<std::uint32_t> order_;
  std::int64_t order_epoch_ = -1;
  std::vector<std::thread> threads_;
};

Loader::Loader(Dataset dataset, std::vector<Sample> samples, LoaderConfig config)
    : impl_(std::make_unique<Impl>(std::move(dataset), std::move(samples), std::move(config))) {}
Loader::~Loader() = default;
Batch Loader::next() {
  return impl_->next();
}
void Loader::seek(std::int64_t iteration) {
  impl_->seek(iteration);
}
std::int64_t Loader::iterations_per_epoch() const {
  return impl_->iterations_per_epoch();
}

}  // namespace psanet::data
