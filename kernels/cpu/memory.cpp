#include "kernels/memory.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <atomic>
#include <bit>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "kernels/cpu/parallel.h"
#include "kernels/error.h"

namespace psanet::kernels {

using cpu::block_range;
using cpu::ceil_div;
using cpu::parallel_blocks;
using cpu::Range;

namespace {
constexpr int64_t kHugePage_bytes = 2 << 20;
constexpr int64_t kCopyBlock_bytes = 1 << 18;

/// Large tensors are walked from end to end: huge pages save address translations.
int64_t alignment_of(int64_t bytes) {
  return bytes >= 2 * kHugePage_bytes ? kHugePage_bytes : kAlignment_bytes;
}
}  // namespace

int64_t allocated_bytes(int64_t bytes) {
  const int64_t alignment_bytes = alignment_of(bytes);
  return std::max<int64_t>(ceil_div(bytes, alignment_bytes), 1) * alignment_bytes;
}

void* allocate(CpuContext&, int64_t bytes) {
  const int64_t alignment_bytes = alignment_of(bytes), rounded_bytes = allocated_bytes(bytes);
  void* memory = bytes < 0
                     ? nullptr
                     : std::aligned_alloc(static_cast<size_t>(alignment_bytes), static_cast<size_t>(rounded_bytes));
  if (memory == nullptr) {
    throw DeviceError(
        fmt::format("allocating {} bytes ({:.1f} GiB) of main memory: the system has no more to give; use a smaller "
                    "batch or crop",
                    bytes, static_cast<double>(bytes) / (1 << 30)));
  }
  // Only advice: without huge pages everything still works.
  if (alignment_bytes == kHugePage_bytes) madvise(memory, static_cast<size_t>(rounded_bytes), MADV_HUGEPAGE);
  return memory;
}

void release(CpuContext&, void* memory) noexcept {
  std::free(memory);
}

void fill_zero(CpuContext& ctx, void* memory, int64_t bytes) {
  parallel_blocks(ctx, ceil_div(bytes, kCopyBlock_bytes), [&](int64_t block) {
    const Range r = block_range(block, kCopyBlock_bytes, bytes);
    std::memset(static_cast<char*>(memory) + r.begin, 0, static_cast<size_t>(r.end - r.begin));
  });
}

void copy_on_device(CpuContext& ctx, void* to, const void* from, int64_t bytes) {
  parallel_blocks(ctx, ceil_div(bytes, kCopyBlock_bytes), [&](int64_t block) {
    const Range r = block_range(block, kCopyBlock_bytes, bytes);
    std::memcpy(static_cast<char*>(to) + r.begin, static_cast<const char*>(from) + r.begin,
                static_cast<size_t>(r.end - r.begin));
  });
}

void copy_to_device(CpuContext& ctx, void* to, const void* from_host, int64_t bytes) {
  copy_on_device(ctx, to, from_host, bytes);
}

void copy_to_host(CpuContext& ctx, void* to_host, const void* from, int64_t bytes) {
  copy_on_device(ctx, to_host, from, bytes);
}

void synchronize(CpuContext&) {}

int64_t first_non_finite(CpuContext& ctx, int64_t elements, const float* x) {
  constexpr int64_t kBlock = 1 << 16;
  constexpr uint32_t kExponent = 0x7f800000u;  // all ones: NaN or infinite
  const auto bad = [x](int64_t i) { return (std::bit_cast<uint32_t>(x[i]) & kExponent) == kExponent; };
  std::atomic<int64_t> first{elements};
  parallel_blocks(ctx, ceil_div(elements, kBlock), [&](int64_t block) {
    const Range r = block_range(block, kBlock, elements);
    uint32_t found = 0;
#pragma omp simd reduction(| : found)
    for (int64_t i = r.begin; i < r.end; ++i) found |= static_cast<uint32_t>(bad(i));
    if (found == 0) return;
    int64_t mine = r.begin;
    while (!bad(mine)) ++mine;
    for (int64_t known = first; mine < known && !first.compare_exchange_weak(known, mine);) {
    }
  });
  return first < elements ? first.load() : -1;
}

namespace {
class CopyReadback final : public Readback {
 public:
  CopyReadback(const void* from, int64_t bytes) : from_(from), bytes_(static_cast<size_t>(bytes)) {}
  void request() override { std::memcpy(bytes_.data(), from_, bytes_.size()); }
  const void* wait() override { return bytes_.data(); }

 private:
  const void* from_;
  std::vector<std::byte> bytes_;
};
}  // namespace

std::unique_ptr<Readback> make_readback(CpuContext&, const void* from, int64_t bytes) {
  return std::make_unique<CopyReadback>(from, bytes);
}

// Launching on the CPU is running: there is nothing to record.
namespace {

class ClockMarks final : public Marks {
 public:
  explicit ClockMarks(int64_t most) { moments_.reserve(static_cast<size_t>(most)); }
  void mark() override { moments_.push_back(std::chrono::steady_clock::now()); }
  std::vector<double> seconds() override {
    std::vector<double> result;
    for (const auto& moment : moments_) {
      result.push_back(std::chrono::duration<double>(moment - moments_.front()).count());
    }
    return result;
  }

 private:
  std::vector<std::chrono::steady_clock::time_point> moments_;
};

}  // namespace

std::unique_ptr<Marks> make_marks(CpuContext&, int64_t most) {
  return std::make_unique<ClockMarks>(most);
}

bool begin_recording(CpuContext&) {
  return false;
}
int64_t launches_recorded(CpuContext&) {
  return 0;
}
void abandon_recording(CpuContext&) noexcept {}
std::unique_ptr<Recording> end_recording(CpuContext&) {
  return nullptr;
}

}  // namespace psanet::kernels
