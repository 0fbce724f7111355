// Point-wise spatial attention (SPEC 1): softmax over the sources and aggregation in one operation, NHWC.
#pragma once

#include "kernels/context.h"

namespace psanet::kernels {

enum class PsaMode { collect, distribute };

struct PsaDims {
  int64_t batch = 0, height = 0, width = 0, channels = 0;
  int64_t mask_h = 0, mask_w = 0;  // of the over-complete map; unused when compact
  PsaMode mode = PsaMode::collect;
  bool compact = false;  // logits are [H*W] absolute positions instead of relative offsets
  bool softmax = true;
  float scale = 1.0f;  // 1 / normalization_factor

  int64_t positions() const { return height * width; }
  int64_t logit_channels() const { return compact ? positions() : mask_h * mask_w; }
};

/// Scratch bytes of forward and backward.
int64_t psa_workspace_bytes(const CpuContext& ctx, const PsaDims& dims);
int64_t psa_workspace_bytes(const CudaContext& ctx, const PsaDims& dims);

/// out [N,H,W,C] = scale * sum over sources j of weight[i, j] * value[j].
/// value [N,H,W,C], logits [N,H,W,logit_channels]; statistics [N, H*W, 2] = (largest logit, sum of exp(logit -
/// largest)) of each target, for the backward pass (null: not wanted; unused without softmax). Out-of-mask pairs have
/// logit 0 and take part in the softmax; mask entries that fall outside the map are never read.
void psa_forward(CpuContext& ctx, const PsaDims& dims, const float* value, const float* logits, float* out,
                 float* statistics, void* workspace);

/// d_value and d_logits (entries that are never read get 0) from d_out; the [H*W, H*W] attention is never stored whole.
void psa_backward(CpuContext& ctx, const PsaDims& dims, const float* value, const float* logits, const float* out,
                  const float* statistics, const float* d_out, float* d_value, float* d_logits, void* workspace);

template <class T>
void psa_forward(CudaContext& ctx, const PsaDims& dims, const T* value, const T* logits, T* out, float* statistics,
                 void* workspace);
template <class T>
void psa_backward(CudaContext& ctx, const PsaDims& dims, const T* value, const T* logits, const T* out,
                  const float* statistics, const T* d_out, T* d_value, T* d_logits, void* workspace);

}  // namespace psanet::kernels
