// Which step every rank of our launcher is in, in memory that they share with it: a killed rank cannot say it any more.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

namespace psanet::apps {

class StepBoard {
 public:
  /// The launcher's. DeviceError if there is no memory for it.
  explicit StepBoard(int64_t ranks);
  /// A rank's: the one whose file the launcher has left open for it under the number `file`; null if it has not.
  static std::unique_ptr<StepBoard> inherited(const char* file);
  ~StepBoard();
  StepBoard(const StepBoard&) = delete;
  StepBoard& operator=(const StepBoard&) = delete;

  /// The number of the open file, for those who are started.
  std::string file() const { return std::to_string(file_); }
  void set(int64_t rank, int64_t step);
  /// 0: none yet.
  int64_t step(int64_t rank) const;

 private:
  StepBoard(int file, int64_t ranks);
  bool map();

  int file_ = -1;
  int64_t ranks_ = 0;
  std::atomic<int64_t>* steps_ = nullptr;
};

}  // namespace psanet::apps
