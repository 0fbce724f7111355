// Threads of a block that do not wait for each other, or wait for somebody who never comes.
#include "tests/emulation/mistakes/mistake.h"

namespace psanet::tests {
namespace {

using namespace kernels::cuda;

constexpr int kThreads = 64;
const LaunchDims kOneBlock{{1}, kThreads};

std::vector<float> reversed() {
  std::vector<float> values = counting(kThreads);
  std::reverse(values.begin(), values.end());
  return values;
}

template <bool kRight>
__global__ void reverse_kernel(const float* x, float* y) {
  PSANET_SHARED(float, tile, [kThreads]);
  tile[threadIdx.x] = x[threadIdx.x];
  if (kRight) __syncthreads();
  y[threadIdx.x] = tile[kThreads - 1 - threadIdx.x];
}

TEST_CASE("no barrier between writing and reading shared memory") {
  check({reversed(), [] { return run(reverse_kernel<false>, kOneBlock, counting(kThreads), kThreads); },
         [] { return run(reverse_kernel<true>, kOneBlock, counting(kThreads), kThreads); }});
}

constexpr int kTiles = 3;

/// y[t] = sum over tiles of x[tile][kThreads - 1 - t].
template <bool kRight>
__global__ void sum_of_tiles_kernel(const float* x, float* y) {
  PSANET_SHARED(float, tile, [kThreads]);
  float sum = 0;
  for (int k = 0; k < kTiles; ++k) {
    tile[threadIdx.x] = x[k * kThreads + threadIdx.x];
    __syncthreads();
    sum += tile[kThreads - 1 - threadIdx.x];
    if (kRight) __syncthreads();
  }
  y[threadIdx.x] = sum;
}

TEST_CASE("a loop over tiles without its second barrier") {
  std::vector<float> wanted;
  for (int t = 0; t < kThreads; ++t) {
    wanted.push_back(0);
    for (int k = 0; k < kTiles; ++k) wanted.back() += static_cast<float>(k * kThreads + kThreads - 1 - t);
  }
  check({wanted, [] { return run(sum_of_tiles_kernel<false>, kOneBlock, counting(kTiles * kThreads), kThreads); },
         [] { return run(sum_of_tiles_kernel<true>, kOneBlock, counting(kTiles * kThreads), kThreads); }});
}

__global__ void early_return_kernel(const float* x, float* y) {
  PSANET_SHARED(float, tile, [kThreads]);
  if (threadIdx.x >= kThreads / 2) return;
  tile[threadIdx.x] = x[threadIdx.x];
  __syncthreads();
  y[threadIdx.x] = tile[0];
}

TEST_CASE("threads return before a barrier") {
  check({std::vector<float>(kThreads / 2, 0.0f),
         [] { return run(early_return_kernel, kOneBlock, counting(kThreads), kThreads / 2); },
         {},
         "some threads left the kernel while others wait at __syncthreads()"});
}

__global__ void two_barriers_kernel(const float* x, float* y) {
  PSANET_SHARED(float, tile, [kThreads]);
  if (threadIdx.x < kThreads / 2) {
    tile[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
  } else {
    tile[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
  }
  y[threadIdx.x] = tile[kThreads - 1 - threadIdx.x];
}

TEST_CASE("different barriers in two branches") {
  check({reversed(),
         [] { return run(two_barriers_kernel, kOneBlock, counting(kThreads), kThreads); },
         {},
         "divergent barrier"});
}

__global__ void branch_shuffle_kernel(const float* x, float* y) {
  float v = x[threadIdx.x];
  if (threadIdx.x % kWarp < kWarp / 2) v += __shfl_xor_sync(kAllLanes, v, 1);
  y[threadIdx.x] = v;
}

TEST_CASE("a shuffle of all lanes in a branch of half of them") {
  check({counting(kThreads),
         [] { return run(branch_shuffle_kernel, kOneBlock, counting(kThreads), kThreads); },
         {},
         "deadlock: lanes named in a warp operation's mask never arrive"});
}

/// The lower half of the warp adds up, and reads from the upper half.
__global__ void outside_mask_kernel(const float* x, float* y) {
  float v = x[threadIdx.x];
  if (threadIdx.x % kWarp < kWarp / 2) v += __shfl_down_sync(0x0000ffffu, v, 8);
  y[threadIdx.x] = v;
}

TEST_CASE("a shuffle reads a lane outside its mask") {
  check({counting(kThreads),
         [] { return run(outside_mask_kernel, kOneBlock, counting(kThreads), kThreads); },
         {},
         "shuffle reads a lane outside the mask"});
}

__global__ void not_in_mask_kernel(const float* x, float* y) {
  y[threadIdx.x] = __ballot_sync(0x0000ffffu, x[threadIdx.x] > 0) != 0 ? 1.0f : 0.0f;
}

TEST_CASE("a vote by lanes that their mask does not name") {
  check({std::vector<float>(kThreads, 1.0f),
         [] { return run(not_in_mask_kernel, kOneBlock, counting(kThreads), kThreads); },
         {},
         "the calling lane is not in its own mask"});
}

/// A sum over 64 values by one warp, as it was written before warps could diverge.
template <bool kRight>
__global__ void one_warp_sum_kernel(const float* x, float* y) {
  PSANET_SHARED(float, sums, [2 * kWarp]);
  const unsigned t = threadIdx.x;
  sums[t] = x[t];
  sums[t + kWarp] = x[t + kWarp];
  for (unsigned by = kWarp; by > 0; by /= 2) {
    if (kRight) __syncwarp();
    if (t < by) sums[t] += sums[t + by];
  }
  if (t == 0) y[0] = sums[0];
}

TEST_CASE("lanes of a warp read each other without __syncwarp") {
  const LaunchDims dims{{1}, kWarp};
  check({{63 * 64 / 2},
         [=] { return run(one_warp_sum_kernel<false>, dims, counting(2 * kWarp), 1); },
         [=] { return run(one_warp_sum_kernel<true>, dims, counting(2 * kWarp), 1); }});
}

}  // namespace
}  // namespace psanet::tests
