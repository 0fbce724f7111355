// The arena: buffers that live together lie apart.
#include "engine/memory_plan.h"

#include <algorithm>
#include <numeric>

#include "engine/random.h"
#include "tests/support/catch.h"

namespace psanet {
namespace {

constexpr int64_t kAlignment = 64;

bool together(const BufferLife& a, const BufferLife& b) {
  return a.first <= b.last && b.first <= a.last;
}

void check_plan(const std::vector<BufferLife>& buffers, const MemoryPlan& plan) {
  REQUIRE(plan.offset_bytes.size() == buffers.size());
  int64_t end = 0;
  int overlaps = 0, misaligned = 0;
  for (size_t a = 0; a < buffers.size(); ++a) {
    misaligned += plan.offset_bytes[a] % kAlignment != 0 || plan.offset_bytes[a] < 0;
    end = std::max(end, plan.offset_bytes[a] + buffers[a].bytes);
    for (size_t b = a + 1; b < buffers.size(); ++b) {
      if (!together(buffers[a], buffers[b]) || buffers[a].bytes == 0 || buffers[b].bytes == 0) continue;
      overlaps += plan.offset_bytes[a] < plan.offset_bytes[b] + buffers[b].bytes &&
                  plan.offset_bytes[b] < plan.offset_bytes[a] + buffers[a].bytes;
    }
  }
  CHECK(overlaps == 0);
  CHECK(misaligned == 0);
  CHECK(end <= plan.total_bytes);
  CHECK(plan.total_bytes >= plan.live_bytes);
}

TEST_CASE("memory plan: random buffers never overlap while both live, and the bound holds") {
  double total = 0, live = 0;
  for (uint64_t round = 0; round < 200; ++round) {
    const uint64_t key = hash_name("plan") + round;
    std::vector<BufferLife> buffers;
    const size_t count = random_bits(key, 0) % 80;
    for (size_t i = 0; i < count; ++i) {
      const int first = static_cast<int>(random_bits(key, 4 * i + 1) % 60);
      const int length = static_cast<int>(random_bits(key, 4 * i + 2) % (i % 5 == 0 ? 60 : 6));
      const auto bytes = static_cast<int64_t>(random_bits(key, 4 * i + 3) % (i % 7 == 0 ? 100000 : 3000));
      buffers.push_back({i % 11 == 0 ? 0 : bytes, first, first + length});
    }
    const MemoryPlan plan = plan_memory(buffers, kAlignment);
    check_plan(buffers, plan);
    total += static_cast<double>(plan.total_bytes);
    live += static_cast<double>(plan.live_bytes);
  }
  CHECK(total <= 1.15 * live);  // it also has to be a good plan
}

/// The same rule without the tree: for each buffer a look at all that were placed before.
std::vector<int64_t> placed_one_by_one(const std::vector<BufferLife>& buffers) {
  const auto aligned = [](int64_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; };
  std::vector<size_t> order(buffers.size()), placed;
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return buffers[a].bytes > buffers[b].bytes; });
  std::vector<int64_t> offset(buffers.size(), 0);
  for (size_t id : order) {
    if (buffers[id].bytes == 0) continue;
    std::sort(placed.begin(), placed.end(), [&](size_t a, size_t b) { return offset[a] < offset[b]; });
    for (size_t other : placed) {
      if (!together(buffers[id], buffers[other])) continue;
      if (offset[id] + aligned(buffers[id].bytes) <= offset[other]) break;
      offset[id] = std::max(offset[id], offset[other] + aligned(buffers[other].bytes));
    }
    placed.push_back(id);
  }
  return offset;
}

TEST_CASE("memory plan: every buffer has the lowest place that is free during its life") {
  for (uint64_t round = 0; round < 200; ++round) {
    const uint64_t key = hash_name("lowest") + round;
    std::vector<BufferLife> buffers;
    for (uint64_t i = 0; i < random_bits(key, 0) % 120; ++i) {
      const int first = static_cast<int>(random_bits(key, 4 * i + 1) % 70);
      const int length = static_cast<int>(random_bits(key, 4 * i + 2) % (i % 3 == 0 ? 70 : 9));
      buffers.push_back({static_cast<int64_t>(random_bits(key, 4 * i + 3) % 2000), first, first + length});
    }
    REQUIRE(plan_memory(buffers, kAlignment).offset_bytes == placed_one_by_one(buffers));
  }
}

/// Activations of a chain of n layers, read again by a backward pass that goes back along the chain.
std::vector<BufferLife> training_chain(int n) {
  std::vector<BufferLife> buffers;
  for (int i = 0; i < n; ++i) buffers.push_back({640 + i % 7 * 64, i, 2 * n - i});
  for (int i = n; i < 2 * n; ++i) buffers.push_back({640 + i % 5 * 64, i, i + 1});
  return buffers;
}

TEST_CASE("memory plan: the work grows like the number of buffers, not like its square") {
  const auto lookups = [](int n) { return static_cast<double>(plan_memory(training_chain(n), kAlignment).lookups); };
  const double small = lookups(4000), large = lookups(32000);
  CHECK(large / small < 8 * 2);  // 8 times the buffers; the rest is the logarithms, and pieces
  CHECK(large / 64000 < 400);    // of each buffer
}

TEST_CASE("memory plan: the bound is the largest sum that lives at one step") {
  const std::vector<BufferLife> chain = {{640, 0, 1}, {128, 1, 2}, {640, 2, 3}};
  const MemoryPlan plan = plan_memory(chain, kAlignment);
  CHECK(plan.live_bytes == 768);
  CHECK(plan.total_bytes == 768);
  CHECK(plan.offset_bytes[0] == plan.offset_bytes[2]);
}

TEST_CASE("memory plan: a buffer lives in its last step too") {
  const MemoryPlan plan = plan_memory({{64, 0, 1}, {64, 1, 1}}, kAlignment);
  CHECK(plan.offset_bytes[0] != plan.offset_bytes[1]);
}

TEST_CASE("memory plan: nothing to place") {
  const MemoryPlan plan = plan_memory({}, kAlignment);
  CHECK(plan.total_bytes == 0);
  CHECK(plan.live_bytes == 0);
}

}  // namespace
}  // namespace psanet
