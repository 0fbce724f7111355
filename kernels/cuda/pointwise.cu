#include "kernels/cuda/device.h"
#include "kernels/cuda/runtime.h"
#include "kernels/elementwise.h"
#include "kernels/pointwise.h"

namespace psanet::kernels {

namespace cuda {
namespace {

// Everything here moves bytes and computes next to nothing: 16-byte accesses, neighbouring threads on neighbouring
// packs, each thread several packs apart by the size of the grid.

template <int kN, class F, class T, class... In>
__device__ __forceinline__ void map_pack(const F& f, Pack<T, kN>& result, const Pack<In, kN>&... in) {
  PSANET_UNROLL
  for (int i = 0; i < kN; ++i) result.v[i] = rounded<T>(f(as_float(in.v[i])...));
}

/// Values that are read and written at once, where the widest type is read 16 bytes at a time.
template <class... T>
inline constexpr int kPack = std::min({kVector<T>...});

/// y[i] = f(x[i]) or f(a[i], b[i]); the last few values, too few for a pack, go one by one.
template <class T, class F, class... In>
__global__ void map_kernel(int64_t elements, F f, T* y, const In*... in) {
  constexpr int kN = kPack<T, In...>;
  const int64_t packs = elements / kN;
  const int64_t first = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t p = first; p < packs; p += step) {
    Pack<T, kN> result;
    map_pack<kN>(f, result, load<kN>(in + p * kN)...);
    store<kN>(y + p * kN, result);
  }
  for (int64_t i = packs * kN + first; i < elements; i += step) y[i] = rounded<T>(f(as_float(in[i])...));
}

template <class T, class F, class... In>
void launch_map(CudaContext& ctx, int64_t elements, const F& f, T* y, const In*... in) {
  if (elements == 0) return;
  launch(ctx, map_kernel<T, F, In...>, loop_over(ctx, ceil_div(elements, kPack<T, In...>)), elements, f, y, in...);
}

struct Same {
  __device__ float operator()(float x) const { return x; }
};
struct TimesLoaded {
  const float* factor;
  __device__ float operator()(float x) const { return *factor * x; }
};

}  // namespace
}  // namespace cuda

template <class F, class T>
void map(CudaContext& ctx, int64_t elements, const F& f, const T* x, T* y) {
  cuda::launch_map(ctx, elements, f, y, x);
}
template <class F, class T>
void map(CudaContext& ctx, int64_t elements, const F& f, const T* a, const T* b, T* y) {
  cuda::launch_map(ctx, elements, f, y, a, b);
}
template <class T>
void scale_by(CudaContext& ctx, int64_t elements, const float* factor, const T* x, T* y) {
  cuda::launch_map(ctx, elements, cuda::TimesLoaded{factor}, y, x);
}

void cast(CudaContext& ctx, int64_t elements, const float* x, bf16* y) {
  cuda::launch_map(ctx, elements, cuda::Same{}, y, x);
}
void cast(CudaContext& ctx, int64_t elements, const bf16* x, float* y) {
  cuda::launch_map(ctx, elements, cuda::Same{}, y, x);
}

#define PSANET_INSTANTIATE(F)                                               \
  template void map(CudaContext&, int64_t, const F&, const float*, float*); \
  template void map(CudaContext&, int64_t, const F&, const bf16*, bf16*);
PSANET_FUNCTIONS_OF_ONE(PSANET_INSTANTIATE)
#undef PSANET_INSTANTIATE
#define PSANET_INSTANTIATE(F)                                                             \
  template void map(CudaContext&, int64_t, const F&, const float*, const float*, float*); \
  template void map(CudaContext&, int64_t, const F&, const bf16*, const bf16*, bf16*);
PSANET_FUNCTIONS_OF_TWO(PSANET_INSTANTIATE)
#undef PSANET_INSTANTIATE
template void scale_by(CudaContext&, int64_t, const float*, const float*, float*);
template void scale_by(CudaContext&, int64_t, const float*, const bf16*, bf16*);

}  // namespace psanet::kernels
