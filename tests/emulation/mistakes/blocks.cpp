// Blocks that expect something of each other: there is no order between them but that of kernels.
#include "tests/emulation/mistakes/mistake.h"

namespace psanet::tests {
namespace {

using namespace kernels::cuda;

constexpr int kThreads = 32, kBlocks = 5;
const LaunchDims kGrid{{kBlocks}, kThreads};

__global__ void zero_kernel(float* y) {
  y[threadIdx.x] = 0;
}

/// y [kThreads] += the columns of x [kBlocks, kThreads].
__global__ void add_rows_kernel(const float* x, float* y) {
  y[threadIdx.x] += x[blockIdx.x * kThreads + threadIdx.x];
}

TEST_CASE("blocks add to the same words without atomics") {
  std::vector<float> wanted;
  for (int t = 0; t < kThreads; ++t) {
    wanted.push_back(0);
    for (int b = 0; b < kBlocks; ++b) wanted.back() += static_cast<float>(b * kThreads + t);
  }
  check({wanted, [] {
           const Array<float> x(counting(kBlocks * kThreads)), y(kThreads);
           launch(cuda(), zero_kernel, {{1}, kThreads}, y.data());
           launch(cuda(), add_rows_kernel, kGrid, x.data(), y.data());
           return y.get();
         }});
}

__global__ void chain_kernel(const float* x, float* y) {
  if (threadIdx.x == 0) y[blockIdx.x] = blockIdx.x == 0 ? x[0] : y[blockIdx.x - 1] + 1;
}

TEST_CASE("a block relies on the block before it") {
  check({counting(kBlocks), [] { return run(chain_kernel, kGrid, {0.0f}, kBlocks); }});
}

/// partial [kBlocks] in scratch memory, one warp's sum each.
__global__ void partial_kernel(const float* x, float* partial) {
  const float own = warp_sum(x[blockIdx.x * kThreads + threadIdx.x]);
  if (threadIdx.x == 0) partial[blockIdx.x] = own;
}
__global__ void total_kernel(const float* partial, float* y) {
  float total = 0;
  for (int b = 0; b < kBlocks; ++b) total += partial[b];
  y[0] = total;
}
/// Both in one: the last block adds up, and hopes.
__global__ void partial_and_total_kernel(const float* x, float* partial, float* y) {
  const float own = warp_sum(x[blockIdx.x * kThreads + threadIdx.x]);
  if (threadIdx.x != 0) return;
  partial[blockIdx.x] = own;
  if (blockIdx.x != kBlocks - 1) return;
  float total = 0;
  for (int b = 0; b < kBlocks; ++b) total += partial[b];
  y[0] = total;
}

/// The sums of 0 .. n-1 and of twice that, through the same scratch memory: calls on one stream wait for each other.
std::vector<float> two_sums(bool right) {
  const std::vector<float> once = counting(kBlocks * kThreads);
  std::vector<float> twice = once, results;
  for (float& v : twice) v *= 2;
  const Array<float> a(once), b(twice), sum_a(1), sum_b(1);
  auto* partial = scratch<float>(cuda(), kBlocks);
  for (const auto& [x, y] : {std::pair(&a, &sum_a), std::pair(&b, &sum_b)}) {
    if (right) {
      launch(cuda(), partial_kernel, kGrid, x->data(), partial);
      launch(cuda(), total_kernel, {{1}, 1}, partial, y->data());
    } else {
      launch(cuda(), partial_and_total_kernel, kGrid, x->data(), partial, y->data());
    }
  }
  return {sum_a.get()[0], sum_b.get()[0]};
}

TEST_CASE("the last block adds up what the others have written") {
  constexpr float kSum = 159 * 160 / 2;
  check({{kSum, 2 * kSum}, [] { return two_sums(false); }, [] { return two_sums(true); }});
}

__global__ void float_atomics_kernel(const float* x, float* y) {
  atomicAdd(y, x[blockIdx.x * kThreads + threadIdx.x]);
}
__global__ void integer_atomics_kernel(const float* x, int* y) {
  atomicAdd(y, static_cast<int>(x[blockIdx.x * kThreads + threadIdx.x] * 1024));
}

TEST_CASE("a sum of floats by atomicAdd") {
  constexpr int n = kBlocks * kThreads;
  const std::vector<float> values = random_values(n, 1);
  float wanted = 0;
  for (float v : values) wanted += v;
  check({{wanted}, [=] {
           const Array<float> x(values), y(std::vector<float>{0.0f});
           launch(cuda(), float_atomics_kernel, kGrid, x.data(), y.data());
           return y.get();
         }});
}

TEST_CASE("a sum of integers by atomicAdd") {
  // No mistake: the table says so.
  check({{1024 * 159 * 160 / 2}, [] {
           const Array<float> x(counting(kBlocks * kThreads));
           const Array<int> y(std::vector<int>{0});
           launch(cuda(), integer_atomics_kernel, kGrid, x.data(), y.data());
           return std::vector<float>{static_cast<float>(y.get()[0])};
         }});
}

}  // namespace
}  // namespace psanet::tests
