#include "kernels/cuda/columns.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/runtime.h"
#include "kernels/elementwise.h"

namespace psanet::kernels {

namespace cuda {
namespace {

// Everything here moves bytes and computes next to nothing: 16-byte accesses, neighbouring threads on neighbouring
// packs, each thread several packs apart by the size of the grid.

template <class T, int kN>
__global__ void bias_add_kernel(int64_t packs, int64_t channels, const T* x, const float* bias, T* y) {
  const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t p = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; p < packs; p += step) {
    const int64_t c = p * kN % channels;
    const Pack<T, kN> from = load<kN>(x + p * kN);
    Pack<T, kN> to;
    PSANET_UNROLL
    for (int i = 0; i < kN; ++i) to.v[i] = rounded<T>(as_float(from.v[i]) + bias[c + i]);
    store<kN>(y + p * kN, to);
  }
}

/// Values of `Unit` bytes: runs of `inner` units for each of `outer` places.
template <class Unit>
__global__ void block_copy_kernel(int64_t outer, int64_t inner, int64_t source_stride, int64_t target_stride,
                                  const Unit* source, Unit* target) {
  const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < outer * inner; i += step) {
    const int64_t o = i / inner, at = i % inner;
    store(target + o * target_stride + at, load<1>(source + o * source_stride + at));
  }
}

struct alignas(16) Unit16 {
  uint32_t words[4];
};

template <class Unit>
bool copy_in_units_of(CudaContext& ctx, const BlockCopyDims& d, const char* source, char* target) {
  const auto unit = static_cast<int64_t>(sizeof(Unit));
  const int64_t inner_bytes = d.inner * d.value_bytes, source_bytes = d.source_stride * d.value_bytes,
                target_bytes = d.target_stride * d.value_bytes;
  if (inner_bytes % unit != 0 || source_bytes % unit != 0 || target_bytes % unit != 0 || !is_aligned(source, unit) ||
      !is_aligned(target, unit)) {
    return false;
  }
  launch(ctx, block_copy_kernel<Unit>, loop_over(ctx, d.outer * inner_bytes / unit), d.outer, inner_bytes / unit,
         source_bytes / unit, target_bytes / unit, reinterpret_cast<const Unit*>(source),
         reinterpret_cast<Unit*>(target));
  return true;
}

}  // namespace
}  // namespace cuda

template <class T>
void bias_add(CudaContext& ctx, const BiasDims& dims, const T* x, const float* bias, T* y) {
  using namespace cuda;
  const int64_t elements = dims.rows * dims.channels;
  if (elements == 0) return;
  with_packs<kVector<T>>(dims.channels % kVector<T> == 0, [&](auto n) {
    launch(ctx, bias_add_kernel<T, n()>, loop_over(ctx, elements / n()), elements / n(), dims.channels, x, bias, y);
  });
}

template <class T>
void bias_backward(CudaContext& ctx, const BiasDims& dims, const T* d_y, float* d_bias) {
  cuda::sum_columns(ctx, dims.rows, dims.channels, d_y, d_bias);
}

void block_copy(CudaContext& ctx, const BlockCopyDims& dims, const void* source, void* target) {
  using namespace cuda;
  if (dims.outer * dims.inner == 0) return;
  const char* from = static_cast<const char*>(source) + dims.source_offset * dims.value_bytes;
  char* to = static_cast<char*>(target) + dims.target_offset * dims.value_bytes;
  copy_in_units_of<Unit16>(ctx, dims, from, to) || copy_in_units_of<uint32_t>(ctx, dims, from, to) ||
      copy_in_units_of<uint16_t>(ctx, dims, from, to) || copy_in_units_of<uint8_t>(ctx, dims, from, to);
}

#define PSANET_INSTANTIATE(T)                                                        \
  template void bias_add(CudaContext&, const BiasDims&, const T*, const float*, T*); \
  template void bias_backward(CudaContext&, const BiasDims&, const T*, float*);
PSANET_INSTANTIATE(float)
PSANET_INSTANTIATE(bf16)
#undef PSANET_INSTANTIATE

}  // namespace psanet::kernels
