#include "engine/memory_plan.h"

#include <algorithm>
#include <numeric>

namespace psanet {

MemoryPlan plan_memory(const std::vector<BufferLife>& buffers, int64_t alignment_bytes) {
  const auto aligned = [&](int64_t bytes) { return (bytes + alignment_bytes - 1) / alignment_bytes * alignment_bytes; };

  MemoryPlan plan;
  plan.offset_bytes.assign(buffers.size(), 0);

  std::vector<size_t> order(buffers.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return buffers[a].bytes > buffers[b].bytes; });

  std::vector<size_t> placed;  // by offset
  for (size_t id : order) {
    const BufferLife& buffer = buffers[id];
    int64_t offset = 0;
    for (size_t other : placed) {
      const bool together = buffers[other].first <= buffer.last && buffer.first <= buffers[other].last;
      if (!together) continue;
      if (offset + aligned(buffer.bytes) <= plan.offset_bytes[other]) break;  // fits into the gap before it
      offset = std::max(offset, plan.offset_bytes[other] + aligned(buffers[other].bytes));
    }
    plan.offset_bytes[id] = offset;
    plan.total_bytes = std::max(plan.total_bytes, offset + aligned(buffer.bytes));
    placed.insert(std::upper_bound(placed.begin(), placed.end(), id,
                                   [&](size_t a, size_t b) { return plan.offset_bytes[a] < plan.offset_bytes[b]; }),
                  id);
  }

  int last = 0;
  for (const BufferLife& b : buffers) last = std::max(last, b.last);
  std::vector<int64_t> change(static_cast<size_t>(last) + 2, 0);
  for (const BufferLife& b : buffers) {
    change[static_cast<size_t>(b.first)] += aligned(b.bytes);
    change[static_cast<size_t>(b.last) + 1] -= aligned(b.bytes);
  }
  int64_t live = 0;
  for (int64_t c : change) {
    plan.live_bytes_at.push_back(live += c);
    plan.live_bytes = std::max(plan.live_bytes, live);
  }
  return plan;
}

}  // namespace psanet
