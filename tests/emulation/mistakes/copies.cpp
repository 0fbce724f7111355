// Asynchronous copies to shared memory: who has waited for what.
#include "tests/emulation/mistakes/mistake.h"

namespace psanet::tests {
namespace {

using namespace kernels::cuda;

constexpr int kThreads = 32, kOwn = 4, kTile = kThreads * kOwn;  // 16 bytes a thread
const LaunchDims kOneBlock{{1}, kThreads};

/// y = x through shared memory; every thread reads what it has copied itself.
template <bool kWaits, bool kCommits>
__global__ void own_copy_kernel(const float* x, float* y) {
  PSANET_SHARED(float, tile, [kTile]);
  const unsigned at = threadIdx.x * kOwn;
  copy_async_16(tile + at, x + at);
  if (kCommits) copy_async_commit();
  if (kWaits) copy_async_wait<0>();
  store(y + at, load<kOwn>(tile + at));
  copy_async_wait<0>();
}

TEST_CASE("an asynchronous copy is read before it has been waited for") {
  check({counting(kTile), [] { return run(own_copy_kernel<false, true>, kOneBlock, counting(kTile), kTile); },
         [] { return run(own_copy_kernel<true, true>, kOneBlock, counting(kTile), kTile); }});
}

TEST_CASE("an asynchronous copy that belongs to no group") {
  check({counting(kTile),
         [] { return run(own_copy_kernel<true, false>, kOneBlock, counting(kTile), kTile); },
         {},
         "a thread ends before it has waited for its asynchronous copies"});
}

__global__ void leaving_kernel(const float* x, float* y) {
  PSANET_SHARED(float, tile, [kTile]);
  const unsigned at = threadIdx.x * kOwn;
  copy_async_16(tile + at, x + at);
  copy_async_commit();
  store(y + at, load<kOwn>(x + at));
}

TEST_CASE("a thread ends while its copies are under way") {
  check({counting(kTile),
         [] { return run(leaving_kernel, kOneBlock, counting(kTile), kTile); },
         {},
         "a thread ends before it has waited for its asynchronous copies"});
}

/// y = x from back to front: every thread reads what another one has copied.
template <bool kRight>
__global__ void others_copy_kernel(const float* x, float* y) {
  PSANET_SHARED(float, tile, [kTile]);
  const unsigned t = threadIdx.x;
  copy_async_16(tile + t * kOwn, x + t * kOwn);
  copy_async_commit();
  copy_async_wait<0>();
  if (kRight) __syncthreads();
  for (unsigned i = 0; i < kOwn; ++i) y[t * kOwn + i] = tile[kTile - 1 - (t * kOwn + i)];
}

TEST_CASE("a copy has been waited for but there is no barrier before others read it") {
  std::vector<float> wanted = counting(kTile);
  std::reverse(wanted.begin(), wanted.end());
  check({wanted, [] { return run(others_copy_kernel<false>, kOneBlock, counting(kTile), kTile); },
         [] { return run(others_copy_kernel<true>, kOneBlock, counting(kTile), kTile); }});
}

constexpr int kTiles = 5;
enum class Mishap { none, waits_for_too_few, refills_too_early };

/// y = sum of kTiles tiles of x, each turned round; while one stage is read the other one is filled.
template <Mishap kMishap>
__global__ void two_stages_kernel(const float* x, float* y) {
  PSANET_SHARED(float, stages, [2][kTile]);
  const unsigned t = threadIdx.x;
  const auto fill = [&](int tile) {
    if (tile < kTiles) copy_async_16(stages[tile % 2] + t * kOwn, x + tile * kTile + t * kOwn);
    copy_async_commit();  // an empty group where there is no tile left: the count goes on
  };
  float sum[kOwn] = {};
  fill(0);
  fill(1);
  for (int tile = 0; tile < kTiles; ++tile) {
    copy_async_wait<kMishap == Mishap::waits_for_too_few ? 2 : 1>();
    __syncthreads();
    for (unsigned i = 0; i < kOwn; ++i) sum[i] += stages[tile % 2][kTile - 1 - (t * kOwn + i)];
    if (kMishap != Mishap::refills_too_early) __syncthreads();
    fill(tile + 2);
  }
  copy_async_wait<0>();
  for (unsigned i = 0; i < kOwn; ++i) y[t * kOwn + i] = sum[i];
}

template <Mishap kMishap>
std::vector<float> run_stages() {
  return run(two_stages_kernel<kMishap>, kOneBlock, counting(kTiles * kTile), kTile);
}
std::vector<float> sum_of_stages() {
  std::vector<float> sums;
  for (int i = 0; i < kTile; ++i) {
    sums.push_back(0);
    for (int tile = 0; tile < kTiles; ++tile) sums.back() += static_cast<float>(tile * kTile + kTile - 1 - i);
  }
  return sums;
}

TEST_CASE("a pipeline waits for one group too few") {
  check({sum_of_stages(), run_stages<Mishap::waits_for_too_few>, run_stages<Mishap::none>});
}

TEST_CASE("a pipeline refills a stage that others still read") {
  check({sum_of_stages(), run_stages<Mishap::refills_too_early>});
}

template <int kShift>
__global__ void shifted_copy_kernel(const float* x, float* y) {
  PSANET_SHARED(float, tile, [kTile]);
  const unsigned at = threadIdx.x * kOwn;
  copy_async_16(tile + at, x + at + kShift);
  copy_async_commit();
  copy_async_wait<0>();
  store(y + at, load<kOwn>(tile + at));
}

TEST_CASE("an asynchronous copy from an address that is not aligned") {
  check({counting(kTile), [] { return run(shifted_copy_kernel<2>, kOneBlock, counting(kTile + 4), kTile); },
         [] { return run(shifted_copy_kernel<0>, kOneBlock, counting(kTile + 4), kTile); },
         "misaligned vector access"});
}

}  // namespace
}  // namespace psanet::tests
