// Memory that is not there, not aligned, or that nobody has written.
#include "tests/emulation/mistakes/mistake.h"

namespace psanet::tests {
namespace {

using namespace kernels::cuda;

constexpr int kThreads = 64;
const LaunchDims kOneBlock{{1}, kThreads};

template <bool kRight>
__global__ void shifted_kernel(const float* x, float* y) {
  PSANET_SHARED(float, tile, [kThreads + (kRight ? 1 : 0)]);
  tile[threadIdx.x + 1] = x[threadIdx.x];
  __syncthreads();
  y[threadIdx.x] = tile[threadIdx.x + 1];
}

TEST_CASE("one past the end of a shared array") {
  check({counting(kThreads), [] { return run(shifted_kernel<false>, kOneBlock, counting(kThreads), kThreads); },
         [] { return run(shifted_kernel<true>, kOneBlock, counting(kThreads), kThreads); }});
}

constexpr int kOdd = 2 * kThreads + 5;

/// Every value of x [kOdd] and the next one.
template <bool kRight>
__global__ void neighbours_kernel(const float* x, float* y) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < kOdd) y[i] = x[i] + (!kRight || i + 1 < kOdd ? x[i + 1] : 0.0f);
}

TEST_CASE("a read beyond the end of a tensor") {
  const LaunchDims dims{{3}, kThreads};
  std::vector<float> wanted;
  for (int i = 0; i < kOdd; ++i) wanted.push_back(static_cast<float>(i + 1 < kOdd ? 2 * i + 1 : i));
  check({wanted, [=] { return run(neighbours_kernel<false>, dims, counting(kOdd), kOdd); },
         [=] { return run(neighbours_kernel<true>, dims, counting(kOdd), kOdd); }});
}

template <int kShift>
__global__ void wide_copy_kernel(const float* x, float* y) {
  store(y + 4 * threadIdx.x, load<4>(x + kShift + 4 * threadIdx.x));
}

TEST_CASE("a wide load from an address that is not aligned") {
  const auto x = counting(4 * kThreads + 4);
  check({counting(4 * kThreads), [=] { return run(wide_copy_kernel<1>, kOneBlock, x, 4 * kThreads); },
         [=] { return run(wide_copy_kernel<0>, kOneBlock, x, 4 * kThreads); }, "misaligned vector access"});
}

/// Each warp's sum into shared memory, then the first warp adds up 32 of them, of which the block has only two.
template <bool kRight>
__global__ void block_sum_kernel(const float* x, float* y) {
  PSANET_SHARED(float, sums, [kWarp]);
  const int warps = static_cast<int>(blockDim.x) / kWarp, t = static_cast<int>(threadIdx.x);
  const float own = warp_sum(x[t]);
  if (t % kWarp == 0) sums[t / kWarp] = own;
  __syncthreads();
  if (t < kWarp) {
    const float total = warp_sum(!kRight || t < warps ? sums[t] : 0.0f);
    if (t == 0) y[0] = total;
  }
}

/// Rows of four floats behind a row of one.
template <int kFirst>
__global__ void wide_shared_kernel(const float* x, float* y) {
  PSANET_SHARED(float, tile, [kFirst + 4 * kThreads]);
  const int at = kFirst + 4 * static_cast<int>(threadIdx.x);
  for (int i = 0; i < 4; ++i) tile[at + i] = x[4 * threadIdx.x + static_cast<unsigned>(i)];
  store(y + 4 * threadIdx.x, load<4>(tile + at));
}

TEST_CASE("a wide load from shared memory that is not aligned") {
  const auto x = counting(4 * kThreads);
  check({x, [=] { return run(wide_shared_kernel<1>, kOneBlock, x, 4 * kThreads); },
         [=] { return run(wide_shared_kernel<4>, kOneBlock, x, 4 * kThreads); }, "misaligned vector access"});
}

TEST_CASE("shared words that nobody has written") {
  check({{63 * 64 / 2},
         [] { return run(block_sum_kernel<false>, kOneBlock, counting(kThreads), 1); },
         [] { return run(block_sum_kernel<true>, kOneBlock, counting(kThreads), 1); }});
}

/// The first thread of each block counts in shared memory how often it has been there.
__global__ void remembering_kernel(const float* x, float* y) {
  PSANET_SHARED(float, memory, [1]);
  if (threadIdx.x != 0) return;
  memory[0] = blockIdx.x == 0 ? x[0] : memory[0] + 1;
  y[blockIdx.x] = memory[0];
}

TEST_CASE("shared memory is expected to outlive its block") {
  const LaunchDims dims{{3}, kWarp};
  check({counting(3), [=] { return run(remembering_kernel, dims, {0.0f}, 3); }});
}

__global__ void dynamic_kernel(const float* x, float* y) {
  PSANET_DYNAMIC_SHARED(float, tile);
  tile[threadIdx.x] = x[threadIdx.x];
  __syncthreads();
  y[threadIdx.x] = tile[threadIdx.x];
}

std::vector<float> run_dynamic(int64_t shared_bytes) {
  return run(dynamic_kernel, {{1}, kThreads, shared_bytes}, counting(kThreads), kThreads);
}

TEST_CASE("dynamic shared memory that the launch has not asked for") {
  check({counting(kThreads), [] { return run_dynamic(0); }, [] { return run_dynamic(kThreads * 4); }});
}

TEST_CASE("more dynamic shared memory than the launch has asked for") {
  check({counting(kThreads), [] { return run_dynamic(kThreads * 4 - 4); }});
}

__global__ void large_static_kernel(const float* x, float* y) {
  PSANET_SHARED(float, tile, [13 << 10]);
  tile[threadIdx.x] = x[threadIdx.x];
  y[threadIdx.x] = tile[threadIdx.x];
}

TEST_CASE("more than 48 KiB of static shared memory") {
  check({counting(kThreads),
         [] { return run(large_static_kernel, kOneBlock, counting(kThreads), kThreads); },
         {},
         "static shared memory over 48 KiB"});
}

/// y[0] = rows * columns / 65536; the product does not fit an int.
template <class Index>
__global__ void offset_kernel(const float* x, float* y) {
  const Index rows = static_cast<Index>(x[0]), columns = static_cast<Index>(x[1]);
  const Index at = rows * columns;
  y[0] = static_cast<float>(at / 65536);
}

TEST_CASE("an index of 32 bits for more than 2^31 elements") {
  const std::vector<float> dims{65536, 40000};
  const LaunchDims one{{1}, 1};
  check({{40000},
         [=] { return run(offset_kernel<int>, one, dims, 1); },
         [=] { return run(offset_kernel<int64_t>, one, dims, 1); }});
}

}  // namespace
}  // namespace psanet::tests
