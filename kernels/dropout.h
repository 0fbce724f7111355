// Dropout2d: whole channels of an image are dropped.
#pragma once

#include "kernels/context.h"

namespace psanet::kernels {

struct DropoutDims {
  int64_t batch = 0, positions = 0, channels = 0;  // positions = H*W
  double probability = 0;                          // of dropping, in [0, 1)
  int64_t first_image = 0;                         // this batch is part of a larger one, from this image on
};

/// factor [N, C] = 0 or 1/(1-p): a function of counter [2] = (seed, step), the salt and the index alone (Philox
/// 4x32-10), the same on every backend: element i of the whole batch is kept when the first 24 bits of Philox(counter =
/// (i, 0, step low, step high), key = low and high word of seed xor salt), as a number in [0, 1), are >= p.
void dropout_factors(CpuContext& ctx, const DropoutDims& dims, uint64_t salt, const int64_t* counter, float* factor);
void dropout_factors(CudaContext& ctx, const DropoutDims& dims, uint64_t salt, const int64_t* counter, float* factor);

/// y [N, positions, C] = x * factor [N, C]; also its own gradient. y may be x.
void channel_scale(CpuContext& ctx, const DropoutDims& dims, const float* x, const float* factor, float* y);
template <class T>
void channel_scale(CudaContext& ctx, const DropoutDims& dims, const T* x, const float* factor, T* y);

}  // namespace psanet::kernels
