// Casts, biases and copies.
#pragma once

#include "kernels/context.h"

namespace psanet::kernels {

/// y = x, rounded to nearest even where y is the shorter type.
void cast(CpuContext& ctx, int64_t elements, const float* x, bf16* y);
void cast(CpuContext& ctx, int64_t elements, const bf16* x, float* y);
void cast(CudaContext& ctx, int64_t elements, const float* x, bf16* y);
void cast(CudaContext& ctx, int64_t elements, const bf16* x, float* y);

struct BiasDims {
  int64_t rows = 0, channels = 0;
};
/// y [rows, C] = x + bias [C]; y may be x.
void bias_add(CpuContext& ctx, const BiasDims& dims, const float* x, const float* bias, float* y);
template <class T>
void bias_add(CudaContext& ctx, const BiasDims& dims, const T* x, const float* bias, T* y);
/// d_bias [C] = sum over rows of d_y [rows, C], in a fixed order.
void bias_backward(CpuContext& ctx, const BiasDims& dims, const float* d_y, float* d_bias);
template <class T>
void bias_backward(CudaContext& ctx, const BiasDims& dims, const T* d_y, float* d_bias);

/// A block of `inner` contiguous values for each of `outer` places: concat and slice along any axis are such copies.
struct BlockCopyDims {
  int64_t outer = 0, inner = 0;                  // values copied = outer * inner
  int64_t source_stride = 0, source_offset = 0;  // in values
  int64_t target_stride = 0, target_offset = 0;  // in values
  int64_t value_bytes = 4;
};
void block_copy(CpuContext& ctx, const BlockCopyDims& dims, const void* source, void* target);
void block_copy(CudaContext& ctx, const BlockCopyDims& dims, const void* source, void* target);

}  // namespace psanet::kernels
