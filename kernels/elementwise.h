// One value in, one value out.
#pragma once

#include "kernels/context.h"

namespace psanet::kernels {

/// y = max(x, 0); y may be x.
void relu_forward(CpuContext& ctx, int64_t elements, const float* x, float* y);
template <class T>
void relu_forward(CudaContext& ctx, int64_t elements, const T* x, T* y);
/// d_x = d_y where y > 0, else 0 (the gradient at 0 is 0); d_x may be d_y.
void relu_backward(CpuContext& ctx, int64_t elements, const float* y, const float* d_y, float* d_x);
template <class T>
void relu_backward(CudaContext& ctx, int64_t elements, const T* y, const T* d_y, T* d_x);

/// y = a + b; y may be a or b.
void add(CpuContext& ctx, int64_t elements, const float* a, const float* b, float* y);
template <class T>
void add(CudaContext& ctx, int64_t elements, const T* a, const T* b, T* y);

/// y = factor * x; y may be x.
void scale(CpuContext& ctx, int64_t elements, float factor, const float* x, float* y);
template <class T>
void scale(CudaContext& ctx, int64_t elements, float factor, const T* x, T* y);
/// y = factor[0] * x with the factor in device memory; y may be x.
void scale_by(CpuContext& ctx, int64_t elements, const float* factor, const float* x, float* y);
template <class T>
void scale_by(CudaContext& ctx, int64_t elements, const float* factor, const T* x, T* y);
/// y = a / b, 0 where b is 0.
void divide_or_zero(CpuContext& ctx, int64_t elements, const float* a, const float* b, float* y);
void divide_or_zero(CudaContext& ctx, int64_t elements, const float* a, const float* b, float* y);

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
