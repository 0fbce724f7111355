// The warp matrix product and its fragments: one wrong index, wrong numbers.
#include "tests/emulation/mistakes/mistake.h"

namespace psanet::tests {
namespace {

using namespace kernels::cuda;

constexpr int kM = 16, kN = 8, kK = 16;
const LaunchDims kOneWarp{{1}, kWarp};
enum class Mishap { none, halves, not_transposed, rows_not_aligned, half_a_warp };

/// y [kM, kN] = a [kM, kK] b [kK, kN]; x holds a, then b, both row-major; small integers, which bf16 holds exactly.
template <Mishap kMishap>
__global__ void product_kernel(const float* x, float* y) {
  // With rows of kK + 1 every second row is not aligned to anything; of kK + 8 all are, and banks do not collide.
  constexpr int kPitch = kMishap == Mishap::rows_not_aligned ? kK + 1 : kK + 8;
  PSANET_SHARED(bf16, a_tile, [kM][kPitch]);
  PSANET_SHARED(bf16, b_tile, [kK][kN]);
  const int lane = static_cast<int>(threadIdx.x);
  for (int i = lane; i < kM * kK; i += kWarp) a_tile[i / kK][i % kK] = rounded<bf16>(x[i]);
  for (int i = lane; i < kK * kN; i += kWarp) b_tile[i / kN][i % kN] = rounded<bf16>(x[kM * kK + i]);
  __syncthreads();

  uint32_t a[4], from_b[4];
  load_matrices(a, &a_tile[lane % 16][lane / 16 * 8]);  // rows 0-7, 8-15 of columns 0-7, then of 8-15
  if (kMishap == Mishap::not_transposed) {
    load_matrices(from_b, &b_tile[lane % 16][0]);
  } else {
    load_matrices_transposed(from_b, &b_tile[lane % 16][0]);  // its last two matrices are not used
  }
  const uint32_t b[2] = {from_b[kMishap == Mishap::halves ? 1 : 0], from_b[kMishap == Mishap::halves ? 0 : 1]};
  float d[4] = {};
  if (kMishap != Mishap::half_a_warp || lane < kWarp / 2) multiply_bf16(d, a, b);
  const int g = lane / 4, t = lane % 4;
  for (int i = 0; i < 4; ++i) y[(g + i / 2 * 8) * kN + 2 * t + i % 2] = d[i];
}

std::vector<float> operands() {
  std::vector<float> x;
  for (int i = 0; i < kM * kK + kK * kN; ++i) x.push_back(static_cast<float>(i * 37 % 23 - 11));
  return x;
}
std::vector<float> product() {
  const std::vector<float> x = operands();
  std::vector<float> y;
  for (size_t m = 0; m < kM; ++m) {
    for (size_t n = 0; n < kN; ++n) {
      y.push_back(0);
      for (size_t k = 0; k < kK; ++k) y.back() += x[m * kK + k] * x[kM * kK + k * kN + n];
    }
  }
  return y;
}
template <Mishap kMishap>
std::vector<float> multiply() {
  return run(product_kernel<kMishap>, kOneWarp, operands(), kM * kN);
}

TEST_CASE("the halves of a fragment are swapped") {
  check({product(), multiply<Mishap::halves>, multiply<Mishap::none>});
}

TEST_CASE("matrices are loaded as they lie where the product wants them transposed") {
  check({product(), multiply<Mishap::not_transposed>});
}

TEST_CASE("rows of a matrix in shared memory are not aligned") {
  check({product(), multiply<Mishap::rows_not_aligned>, {}, "misaligned vector access"});
}

TEST_CASE("a warp product in a branch of half of its lanes") {
  check({product(), multiply<Mishap::half_a_warp>, {}, "deadlock"});
}

}  // namespace
}  // namespace psanet::tests
