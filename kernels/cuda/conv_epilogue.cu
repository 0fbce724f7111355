#include "kernels/cuda/convolution.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/runtime.h"

namespace psanet::kernels::cuda {

namespace {

/// kN channels a thread and step; kN divides the number of channels.
template <class T, int kN>
__global__ void epilogue_kernel(int64_t packs, int64_t channels, const float* bias, const T* residual, bool relu,
                                T* y) {
  const int64_t first = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.x;
  // The channel goes along with the position: one division at the start instead of one a step.
  const int64_t channel_step = step * kN % channels;
  int64_t c = first * kN % channels;
  for (int64_t p = first; p < packs; p += step) {
    Pack<T, kN> value = load<kN>(y + p * kN);
    Pack<T, kN> added;
    if (residual != nullptr) added = load<kN>(residual + p * kN);
    PSANET_UNROLL
    for (int i = 0; i < kN; ++i) {
      float v = as_float(value.v[i]);
      if (bias != nullptr) v += bias[c + i];
      if (residual != nullptr) v += as_float(added.v[i]);
      if (relu) v = v < 0.0f ? 0.0f : v;  // so written, NaN stays NaN
      value.v[i] = rounded<T>(v);
    }
    store<kN>(y + p * kN, value);
    c += channel_step;
    if (c >= channels) c -= channels;
  }
}

}  // namespace

template <class T>
void convolution_epilogue(CudaContext& ctx, int64_t rows, int64_t channels, const float* bias, const T* residual,
                          bool relu, T* y) {
  const int64_t elements = rows * channels;
  if (elements == 0) return;
  with_packs<kVector<T>>(channels % kVector<T> == 0 && is_aligned(y, 16) && is_aligned(residual, 16), [&](auto n) {
    launch(ctx, epilogue_kernel<T, n()>, loop_over(ctx, elements / n()), elements / n(), channels, bias, residual, relu,
           y);
  });
}

#define PSANET_INSTANTIATE(T) \
  template void convolution_epilogue(CudaContext&, int64_t, int64_t, const float*, const T*, bool, T*);
PSANET_INSTANTIATE(float)
PSANET_INSTANTIATE(bf16)
#undef PSANET_INSTANTIATE

}  // namespace psanet::kernels::cuda
