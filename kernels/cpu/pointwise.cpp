#include "kernels/pointwise.h"

#include "kernels/cpu/parallel.h"

namespace psanet::kernels {

using cpu::parallel_elements;

template <class F>
void map(CpuContext& ctx, int64_t elements, const F& f, const float* x, float* y) {
  parallel_elements(ctx, elements, [=](int64_t begin, int64_t end) {
#pragma omp simd
    for (int64_t i = begin; i < end; ++i) y[i] = f(x[i]);
  });
}

template <class F>
void map(CpuContext& ctx, int64_t elements, const F& f, const float* a, const float* b, float* y) {
  parallel_elements(ctx, elements, [=](int64_t begin, int64_t end) {
#pragma omp simd
    for (int64_t i = begin; i < end; ++i) y[i] = f(a[i], b[i]);
  });
}

void scale_by(CpuContext& ctx, int64_t elements, const float* factor, const float* x, float* y) {
  map(ctx, elements, Times{factor[0]}, x, y);
}

#define PSANET_INSTANTIATE(F) template void map(CpuContext&, int64_t, const F&, const float*, float*);
PSANET_FUNCTIONS_OF_ONE(PSANET_INSTANTIATE)
#undef PSANET_INSTANTIATE
#define PSANET_INSTANTIATE(F) template void map(CpuContext&, int64_t, const F&, const float*, const float*, float*);
PSANET_FUNCTIONS_OF_TWO(PSANET_INSTANTIATE)
#undef PSANET_INSTANTIATE

}  // namespace psanet::kernels
