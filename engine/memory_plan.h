// Where each buffer of a program lies in the one arena.
#pragma once

#include <cstdint>
#include <vector>

namespace psanet {

/// A buffer that must keep its content from step `first` to step `last`, both included.
struct BufferLife {
  int64_t bytes = 0;
  int first = 0;
  int last = 0;
};

struct MemoryPlan {
  std::vector<int64_t> offset_bytes;  // of each buffer, aligned
  int64_t total_bytes = 0;
  std::vector<int64_t> live_bytes_at;  // sum of the buffers alive at each step
  int64_t live_bytes = 0;              // the largest of them: no plan can be smaller
  int64_t lookups = 0;                 // what planning took: ranges of occupied memory that were looked at
};

/// Largest first, each at the lowest place that is free during its whole life. The time that it takes grows with
/// n log^2 n for n buffers, as long as what is occupied at a time is in few pieces.
MemoryPlan plan_memory(const std::vector<BufferLife>& buffers, int64_t alignment_bytes);

}  // namespace psanet
