#include "kernels/cuda/psa_passes.h"
#include "kernels/psa.h"

namespace psanet::kernels {

namespace cuda {

template <class T>
void run_forward(CudaContext& ctx, const PsaPasses& p, const T* value, const T* scores, T* out, float* statistics,
                 void* workspace) {
  Target* targets = p.softmax ? p.targets(workspace) : nullptr;
  float* totals = p.totals(workspace);
  if (p.softmax) find_targets(ctx, p, scores, statistics, targets);
  if (p.shares > 0) sum_positions(ctx, p, value, nullptr, totals);
  aggregate_sources(ctx, p, scores, targets, value, totals, out);
}

template <class T>
void run_backward(CudaContext& ctx, const PsaPasses& p, const T* value, const T* scores, const T* out,
                  const float* statistics, const T* d_out, T* d_value, T* d_scores, void* workspace) {
  Target* targets = p.softmax ? p.targets(workspace) : nullptr;
  float* totals = p.totals(workspace);
  if (p.softmax) recall_targets(ctx, p, statistics, out, d_out, targets);
  if (p.shares > 0) sum_positions(ctx, p, d_out, targets, totals);
  aggregate_targets(ctx, p, scores, targets, d_out, totals, d_value);
  differentiate_scores(ctx, p, scores, targets, value, d_out, d_scores);
}

#define PSANET_INSTANTIATE(T)                                                                                          \
  template void run_forward(CudaContext&, const PsaPasses&, const T*, const T*, T*, float*, void*);                    \
  template void run_backward(CudaContext&, const PsaPasses&, const T*, const T*, const T*, const float*, const T*, T*, \
                             T*, void*);
PSANET_INSTANTIATE(float)
PSANET_INSTANTIATE(bf16)
#undef PSANET_INSTANTIATE

}  // namespace cuda

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
