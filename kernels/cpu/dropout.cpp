#include "kernels/dropout.h"

#include <array>

#include "kernels/cpu/parallel.h"

namespace psanet::kernels {

using namespace cpu;  // the helpers of this folder

namespace {

using Words = std::array<uint32_t, 4>;

/// Philox 4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", 2011).
Words philox(Words counter, uint32_t key_low, uint32_t key_high) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = uint64_t{0xD2511F53} * counter[0];
    const uint64_t b = uint64_t{0xCD9E8D57} * counter[2];
    counter = {static_cast<uint32_t>(b >> 32) ^ counter[1] ^ key_low, static_cast<uint32_t>(b),
               static_cast<uint32_t>(a >> 32) ^ counter[3] ^ key_high, static_cast<uint32_t>(a)};
    key_low += 0x9E3779B9;
    key_high += 0xBB67AE85;
  }
  return counter;
}

}  // namespace

void dropout_factors(CpuContext&, const DropoutDims& dims, uint64_t salt, const int64_t* counter, float* factor) {
  const uint64_t key = static_cast<uint64_t>(counter[0]) ^ salt;
  const auto step = static_cast<uint64_t>(counter[1]);
  const auto kept = static_cast<float>(1.0 / (1.0 - dims.probability));
  for (int64_t i = 0; i < dims.batch * dims.channels; ++i) {
    const Words words = philox({static_cast<uint32_t>(dims.first_image * dims.channels + i), 0,
                                static_cast<uint32_t>(step), static_cast<uint32_t>(step >> 32)},
                               static_cast<uint32_t>(key), static_cast<uint32_t>(key >> 32));
    const double uniform = static_cast<double>(words[0] >> 8) * 0x1p-24;
    factor[i] = uniform >= dims.probability ? kept : 0.0f;
  }
}

void channel_scale(CpuContext& ctx, const DropoutDims& dims, const float* x, const float* factor, float* y) {
  const int64_t channels = dims.channels;
  const int64_t step = std::max<int64_t>(1, 16384 / std::max<int64_t>(1, channels));
  const int64_t pieces = ceil_div(dims.positions, step);
  parallel_blocks(ctx, dims.batch * pieces, [=](int64_t block) {
    const int64_t image = block / pieces;
    const Range positions = block_range(block % pieces, step, dims.positions);
    const float* f = factor + image * channels;
    for (int64_t p = positions.begin; p < positions.end; ++p) {
      const int64_t at = (image * dims.positions + p) * channels;
#pragma omp simd
      for (int64_t c = 0; c < channels; ++c) y[at + c] = x[at + c] * f[c];
    }
  });
}

}  // namespace psanet::kernels
