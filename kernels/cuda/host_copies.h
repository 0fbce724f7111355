// Copies between the host and the device that the host does not wait for. The driver's own copies from ordinary memory
// wait for everything launched before; those from pinned memory do not.
#pragma once

#include "kernels/cuda/runtime.h"

namespace psanet::kernels::cuda {

/// Host memory that the device reads and writes by itself, and the event behind the last copy that uses it.
class PinnedSlot {
 public:
  PinnedSlot() = default;
  ~PinnedSlot();
  PinnedSlot(const PinnedSlot&) = delete;
  PinnedSlot& operator=(const PinnedSlot&) = delete;

  /// At least so many bytes; waits for the last copy first.
  void* reserve(int64_t bytes);
  void* memory() const { return memory_; }
  /// To be called behind the launch of the copy.
  void copy_launched(cudaStream_t stream);
  void wait();

 private:
  void* memory_ = nullptr;
  int64_t bytes_ = 0;
  cudaEvent_t copied_ = nullptr;
  bool under_way_ = false;
};

/// What is copied to the device lies in a slot until the device has read it. More slots than a training step has
/// inputs: the inputs of a step can be set while the step before runs.
struct Staging {
  static constexpr int kSlots = 8;
  static constexpr int64_t kMost_bytes = int64_t{64} << 20;  // of a slot: longer copies go in pieces
  PinnedSlot slots[kSlots];
  int next = 0;
};

}  // namespace psanet::kernels::cuda
