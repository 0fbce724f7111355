// SGD with momentum over many tensors at once.
#pragma once

#include <span>

#include "kernels/context.h"

namespace psanet::kernels {

struct SgdTensor {
  float* parameter = nullptr;
  float* momentum = nullptr;
  const float* gradient = nullptr;
  int64_t elements = 0;
  float rate_factor = 1.0f;  // of the learning rate: 1 or 10 (SPEC 5)
  float weight_decay = 0.0f;
  bf16* copy = nullptr;  // also gets the new parameter, if not null
};

/// PyTorch's form (SPEC 5): v = momentum * v + g + decay * w; w -= learning_rate[0] * rate_factor * v. With v = 0 at
/// the start the first step is v = g + decay * w. guard [1] may be null; where it is NaN or infinite nothing changes.
void sgd_step(CpuContext& ctx, std::span<const SgdTensor> tensors, float momentum, const float* learning_rate,
              const float* guard = nullptr);
void sgd_step(CudaContext& ctx, std::span<const SgdTensor> tensors, float momentum, const float* learning_rate,
              const float* guard = nullptr);

}  // namespace psanet::kernels
