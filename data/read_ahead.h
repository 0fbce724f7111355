// Samples in order, decoded by a thread while the caller is busy with those before.
#pragma once

#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "data/samples.h"

namespace psanet::data {

class ReadAhead {
 public:
  /// At most `ahead` decoded samples wait. `dataset` must outlive this.
  ReadAhead(const Dataset& dataset, std::vector<Sample> samples, std::size_t ahead = 3);
  ~ReadAhead();
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;

  /// The next sample; it is to be called once for each. An error in decoding comes with the sample it belongs to.
  LabelledImage next();
  /// How long next() has waited, all calls together.
  double waited_seconds() const { return waited_seconds_; }

 private:
  struct Decoded {
    LabelledImage sample;
    std::exception_ptr error;
  };
  void decode_all();

  const Dataset& dataset_;
  std::vector<Sample> samples_;
  std::size_t ahead_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Decoded> ready_;
  bool stop_ = false;
  double waited_seconds_ = 0;
  std::thread thread_;  // last: it uses everything above
};

}  // namespace psanet::data
