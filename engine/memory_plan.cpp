#include "engine/memory_plan.h"

#include <algorithm>
#include <map>
#include <numeric>

namespace psanet {

namespace {

/// Ranges of bytes that neither overlap nor touch.
class Ranges {
 public:
  void add(int64_t begin, int64_t end) {
    auto next = ends_.upper_bound(begin);
    if (next != ends_.begin() && std::prev(next)->second >= begin) begin = (--next)->first;
    while (next != ends_.end() && next->first <= end) {
      end = std::max(end, next->second);
      next = ends_.erase(next);
    }
    ends_.emplace_hint(next, begin, end);
  }
  /// The lowest place from `at` on with `bytes` free bytes.
  int64_t free_from(int64_t at, int64_t bytes, int64_t& lookups) const {
    auto next = ends_.upper_bound(at);
    if (next != ends_.begin() && std::prev(next)->second > at) at = std::prev(next)->second;
    for (++lookups; next != ends_.end() && next->first < at + bytes; ++next, ++lookups) at = next->second;
    return at;
  }

 private:
  std::map<int64_t, int64_t> ends_;  // begin -> end
};

/// What memory is occupied when: a tree over the steps. A node stands for a span of steps; a buffer's life is made of
/// at most 2 log n whole spans.
class Occupancy {
 public:
  explicit Occupancy(int steps) {
    while (leaves_ < static_cast<size_t>(steps)) leaves_ *= 2;
    throughout_.resize(2 * leaves_);
    sometime_.resize(2 * leaves_);
  }

  void add(const BufferLife& life, int64_t begin, int64_t end) {
    for (size_t span : spans(life)) {
      throughout_[span].add(begin, end);
      for (size_t above = span; above > 0; above /= 2) sometime_[above].add(begin, end);
    }
  }

  /// The lowest place that is free during a whole life.
  int64_t lowest_free(const BufferLife& life, int64_t bytes, int64_t& lookups) const {
    std::vector<const Ranges*> occupied;  // by buffers that live within a span, and by those that live throughout one
    for (size_t span : spans(life)) {
      occupied.push_back(&sometime_[span]);
      for (size_t above = span / 2; above > 0; above /= 2) occupied.push_back(&throughout_[above]);
    }
    std::sort(occupied.begin(), occupied.end());  // neighbouring spans have most of what is above them in common
    occupied.erase(std::unique(occupied.begin(), occupied.end()), occupied.end());
    int64_t at = 0;
    for (size_t agreed = 0, i = 0; agreed < occupied.size(); i = (i + 1) % occupied.size()) {
      const int64_t next = occupied[i]->free_from(at, bytes, lookups);
      agreed = next == at ? agreed + 1 : 1;
      at = next;
    }
    return at;
  }

 private:
  std::vector<size_t> spans(const BufferLife& life) const {
    std::vector<size_t> whole;
    size_t low = leaves_ + static_cast<size_t>(life.first), high = leaves_ + static_cast<size_t>(life.last) + 1;
    for (; low < high; low /= 2, high /= 2) {
      if (low % 2 == 1) whole.push_back(low++);
      if (high % 2 == 1) whole.push_back(--high);
    }
    return whole;
  }

  size_t leaves_ = 1;
  std::vector<Ranges> throughout_, sometime_;  // what is occupied during all of a span, during some of it
};

}  // namespace

MemoryPlan plan_memory(const std::vector<BufferLife>& buffers, int64_t alignment_bytes) {
  const auto aligned = [&](int64_t bytes) { return (bytes + alignment_bytes - 1) / alignment_bytes * alignment_bytes; };
  int last = 0;
  for (const BufferLife& b : buffers) last = std::max(last, b.last);

  MemoryPlan plan;
  plan.offset_bytes.assign(buffers.size(), 0);
  std::vector<size_t> order(buffers.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return buffers[a].bytes > buffers[b].bytes; });
  Occupancy occupancy(last + 1);
  for (size_t id : order) {
    const int64_t bytes = aligned(buffers[id].bytes);
    if (bytes == 0) continue;
    const int64_t offset = occupancy.lowest_free(buffers[id], bytes, plan.lookups);
    occupancy.add(buffers[id], offset, offset + bytes);
    plan.offset_bytes[id] = offset;
    plan.total_bytes = std::max(plan.total_bytes, offset + bytes);
  }

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
