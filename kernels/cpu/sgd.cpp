#include "kernels/sgd.h"

#include <cmath>

#include "kernels/cpu/parallel.h"

namespace psanet::kernels {

using namespace cpu;  // the helpers of this folder

namespace {

constexpr int64_t kPiece = 16384;

void step(const SgdTensor& t, Range elements, float momentum, float rate) {
  float* w = t.parameter;
  float* v = t.momentum;
  const float* g = t.gradient;
  const float decay = t.weight_decay;
#pragma omp simd
  for (int64_t i = elements.begin; i < elements.end; ++i) {
    v[i] = momentum * v[i] + (g[i] + decay * w[i]);
    w[i] -= rate * v[i];
  }
  if (t.copy != nullptr) {
    for (int64_t i = elements.begin; i < elements.end; ++i) t.copy[i] = to_bf16(w[i]);
  }
}

}  // namespace

void sgd_step(CpuContext& ctx, std::span<const SgdTensor> tensors, float momentum, const float* learning_rate,
              const float* guard) {
  if (guard != nullptr && !std::isfinite(guard[0])) return;
  int64_t pieces = 0;
  for (const SgdTensor& t : tensors) pieces += ceil_div(t.elements, kPiece);
  const float rate = learning_rate[0];
  // All tensors end to end are one row of pieces, of which each thread takes an equal share.
  const int64_t shares = std::min<int64_t>(ctx.threads, pieces);
  parallel_blocks(ctx, shares, [&](int64_t share) {
    const Range mine{pieces * share / shares, pieces * (share + 1) / shares};
    int64_t before = 0;  // pieces of the tensors passed so far
    for (const SgdTensor& t : tensors) {
      const int64_t own = ceil_div(t.elements, kPiece);
      for (int64_t p = std::max(mine.begin, before); p < std::min(mine.end, before + own); ++p) {
        step(t, block_range(p - before, kPiece, t.elements), momentum, rate * t.rate_factor);
      }
      before += own;
    }
  });
}

}  // namespace psanet::kernels
