// Training batches: shuffled, augmented and normalised ahead of the training step by worker threads.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "data/augment.h"
#include "data/dataset.h"
#include "data/samples.h"

namespace psanet::data {

struct LoaderConfig {
  AugmentConfig augment;
  int batch = 1;                ///< samples of one iteration over all ranks
  int first = 0, count = 0;     ///< this loader yields a rank's part of every batch; count 0: all from `first` on
  int workers = 1;              ///< threads; 0: everything is done inside next()
  int prefetch = 2;             ///< batches made ahead of the one in use
  std::uint64_t seed = 0;       ///< of the order and of the augmentation
  std::size_t cache_bytes = 0;  ///< decoded images and labels are kept in memory up to this many bytes
};

/// A view into the loader's buffers, valid until the next call of next() or seek().
struct Batch {
  std::int64_t iteration = 0;  ///< counts from 0 over all epochs
  std::int64_t epoch = 0;
  int samples = 0, height = 0, width = 0;
  const float* images = nullptr;         ///< [samples, height, width, 3], normalised
  const std::uint8_t* labels = nullptr;  ///< [samples, height, width], 0..classes-1 or 255
};

/// Yields batch after batch, epoch after epoch, without end. Every epoch visits the samples in a new order that depends
/// on (seed, epoch); its last samples that fill no whole batch are left out. What a batch holds depends on seed and
/// iteration only: not on the number of workers, on timing, or on where the loader started.
class Loader {
 public:
  /// std::invalid_argument for impossible settings, DataError if the samples fill no batch or lack labels.
  Loader(Dataset dataset, std::vector<Sample> samples, LoaderConfig config);
  ~Loader();
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  /// The batch of the next iteration (the first call gives iteration 0, or that of seek). A sample that cannot be used
  /// throws its DataError here, in the iteration it belongs to; calling again throws it again.
  Batch next();

  /// The next call of next() gives this iteration.
  void seek(std::int64_t iteration);

  std::int64_t iterations_per_epoch() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

/// The order of an epoch: a permutation of 0..count-1.
std::vector<std::uint32_t> epoch_order(std::size_t count, std::uint64_t seed, std::int64_t epoch);

}  // namespace psanet::data
