#include "kernels/cuda/psa_passes.h"
#include "kernels/psa.h"

namespace psanet::kernels {

int64_t psa_workspace_bytes(const CudaContext&, const PsaDims& dims) {
  return cuda::PsaPasses(dims, cuda::view_of_logits(dims)).workspace_bytes();
}

template <class T>
void psa_forward(CudaContext& ctx, const PsaDims& dims, const T* value, const T* logits, T* out, float* statistics,
                 void* workspace) {
  if (dims.batch * dims.positions() * dims.channels == 0) return;
  cuda::run_forward(ctx, cuda::PsaPasses(dims, cuda::view_of_logits(dims)), value, logits, out, statistics, workspace);
}

template <class T>
void psa_backward(CudaContext& ctx, const PsaDims& dims, const T* value, const T* logits, const T* out,
                  const float* statistics, const T* d_out, T* d_value, T* d_logits, void* workspace) {
  if (dims.batch * dims.positions() * dims.channels == 0) return;
  cuda::run_backward(ctx, cuda::PsaPasses(dims, cuda::view_of_logits(dims)), value, logits, out, statistics, d_out,
                     d_value, d_logits, workspace);
}

#define PSANET_INSTANTIATE(T)                                                                                        \
  template void psa_forward(CudaContext&, const PsaDims&, const T*, const T*, T*, float*, void*);                    \
  template void psa_backward(CudaContext&, const PsaDims&, const T*, const T*, const T*, const float*, const T*, T*, \
                             T*, void*);
PSANET_INSTANTIATE(float)
PSANET_INSTANTIATE(bf16)
#undef PSANET_INSTANTIATE

}  // namespace psanet::kernels
