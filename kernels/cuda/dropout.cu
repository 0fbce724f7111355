// Dropout2d: the factors of channels, and the pass over memory that applies them.
#include <cmath>

#include "kernels/cuda/channel_walk.h"
#include "kernels/dropout.h"

namespace psanet::kernels {

namespace cuda {
namespace {

/// The first word of Philox 4x32-10 (Salmon, Moraes, Dror, Shaw 2011), as in kernels/cpu/dropout.cpp.
__device__ uint32_t philox(uint32_t c0, uint32_t c1, uint32_t c2, uint32_t c3, uint32_t key_low, uint32_t key_high) {
  constexpr uint32_t kA = 0xD2511F53, kB = 0xCD9E8D57;
  PSANET_UNROLL
  for (int round = 0; round < 10; ++round) {
    const uint32_t a_high = __umulhi(kA, c0), b_high = __umulhi(kB, c2);
    c0 = kA * c0;
    c2 = kB * c2;
    const uint32_t next = b_high ^ c1 ^ key_low, third = a_high ^ c3 ^ key_high;
    c1 = c2;
    c3 = c0;
    c0 = next;
    c2 = third;
    key_low += 0x9E3779B9;
    key_high += 0xBB67AE85;
  }
  return c0;
}

/// threshold = p * 2^24, rounded up: the first 24 bits, as a number in [0, 1), are >= p when as an integer they are not
/// below it.
__global__ void factors_kernel(int64_t elements, int64_t first, uint64_t salt, uint32_t threshold, float kept,
                               const int64_t* counter, float* factor) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= elements) return;
  const uint64_t key = static_cast<uint64_t>(counter[0]) ^ salt;
  const auto step = static_cast<uint64_t>(counter[1]);
  const uint32_t word =
      philox(static_cast<uint32_t>(first + i), 0, static_cast<uint32_t>(step), static_cast<uint32_t>(step >> 32),
             static_cast<uint32_t>(key), static_cast<uint32_t>(key >> 32));
  factor[i] = (word >> 8) >= threshold ? kept : 0.0f;
}

/// x, y [batch, positions, C]; grid.z: images. Image by image, a thread keeps its channels' factors.
template <class T, int kN>
__global__ void __launch_bounds__(kWalkThreads, kWalkBlocks)
    channel_scale_kernel(int64_t batch, int64_t positions, int64_t channels, int log2_across, const T* x,
                         const float* factor, T* y) {
  const WalkPlace at = walk_place<kN>(log2_across);
  if (at.channel >= channels) return;
  for (int64_t image = blockIdx.z; image < batch; image += gridDim.z) {
    const Floats<kN> f = load_floats<kN>(factor + image * channels + at.channel);
    const T* from = x + image * positions * channels + at.channel;
    T* to = y + image * positions * channels + at.channel;
    walk_rows<4>(
        static_cast<int64_t>(blockIdx.y) * at.rows + at.row, positions, static_cast<int64_t>(gridDim.y) * at.rows,
        [&](int64_t row) { return load<kN>(from + row * channels); },
        [&](int64_t row, const Pack<T, kN>& in) {
          Pack<T, kN> out;
          PSANET_UNROLL
          for (int i = 0; i < kN; ++i) out.v[i] = rounded<T>(as_float(in.v[i]) * f.v[i]);
          store(to + row * channels, out);
        });
  }
}

}  // namespace
}  // namespace cuda

void dropout_factors(CudaContext& ctx, const DropoutDims& dims, uint64_t salt, const int64_t* counter, float* factor) {
  using namespace cuda;
  const int64_t elements = dims.batch * dims.channels;
  if (elements == 0) return;
  const auto threshold = static_cast<uint32_t>(std::ceil(dims.probability * 0x1p24));
  const auto kept = static_cast<float>(1.0 / (1.0 - dims.probability));
  launch(ctx, factors_kernel, {{ceil_div(elements, 128)}, 128}, elements, dims.first_image * dims.channels, salt,
         threshold, kept, counter, factor);
}

template <class T>
void channel_scale(CudaContext& ctx, const DropoutDims& dims, const T* x, const float* factor, T* y) {
  using namespace cuda;
  if (dims.batch * dims.positions * dims.channels == 0) return;
  const bool wide = dims.channels % kVector<T> == 0;
  const ChannelWalk walk = channel_walk(dims.channels, wide ? kVector<T> : 1);
  launch(ctx, wide ? channel_scale_kernel<T, kVector<T>> : channel_scale_kernel<T, 1>,
         walk_rows_of(ctx, walk, dims.positions, dims.channels, dims.batch), dims.batch, dims.positions, dims.channels,
         walk.log2_across, x, factor, y);
}

template void channel_scale(CudaContext&, const DropoutDims&, const float*, const float*, float*);
template void channel_scale(CudaContext&, const DropoutDims&, const bf16*, const float*, bf16*);

}  // namespace psanet::kernels
