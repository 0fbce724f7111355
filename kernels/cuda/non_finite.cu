// The first value that is NaN or infinite.
#include "kernels/cuda/device.h"
#include "kernels/cuda/runtime.h"
#include "kernels/memory.h"

namespace psanet::kernels {

namespace cuda {
namespace {

using Index = unsigned long long;  // what 64-bit atomic operations take

/// first: the smallest index found. Indices grow as a thread goes on: it stops at the first that it finds.
template <class T, int kN>
__global__ void first_non_finite_kernel(int64_t elements, const T* x, Index* first) {
  const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.x * kN;
  int64_t i = (static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) * kN;
  int64_t found = -1;
  for (; found < 0 && i + kN <= elements; i += step) {
    const Pack<T, kN> values = load<kN>(x + i);
    PSANET_UNROLL
    for (int j = kN - 1; j >= 0; --j) {
      if (is_non_finite(as_float(values.v[j]))) found = i + j;
    }
  }
  for (; found < 0 && i < elements; ++i) {  // the incomplete pack, if it is this thread's
    if (is_non_finite(as_float(x[i]))) found = i;
  }
  if (found >= 0) atomicMin(first, static_cast<Index>(found));
}

}  // namespace
}  // namespace cuda

template <class T>
int64_t first_non_finite(CudaContext& ctx, int64_t elements, const T* x) {
  using namespace cuda;
  if (elements == 0) return -1;
  constexpr int kN = kVector<T>;
  auto* first = scratch<Index>(ctx, 1);
  PSANET_CUDA_CHECK(cudaMemsetAsync(first, 0xff, sizeof(Index), ctx.runtime->stream));  // the largest index, and -1
  const bool wide = is_aligned(x, 16);
  launch(ctx, wide ? first_non_finite_kernel<T, kN> : first_non_finite_kernel<T, 1>,
         loop_over(ctx, ceil_div(elements, wide ? kN : 1)), elements, x, first);
  int64_t result = 0;
  copy_to_host(ctx, &result, first, sizeof result);
  return result;
}

template int64_t first_non_finite(CudaContext&, int64_t, const float*);
template int64_t first_non_finite(CudaContext&, int64_t, const bf16*);

}  // namespace psanet::kernels
