// One value in, one value out.
#pragma once

#include "kernels/context.h"

namespace psanet::kernels {

/// y = max(x, 0); y may be x.
void relu_forward(CpuContext& ctx, int64_t elements, const float* x, float* y);
/// d_x = d_y where y > 0, else 0 (the gradient at 0 is 0); d_x may be d_y.
void relu_backward(CpuContext& ctx, int64_t elements, const float* y, const float* d_y, float* d_x);

/// y = a + b; y may be a or b.
void add(CpuContext& ctx, int64_t elements, const float* a, const float* b, float* y);

/// y = factor * x; y may be x.
void scale(CpuContext& ctx, int64_t elements, float factor, const float* x, float* y);
/// y = factor[0] * x with the factor in device memory; y may be x.
void scale_by(CpuContext& ctx, int64_t elements, const float* factor, const float* x, float* y);
/// y = a / b, 0 where b is 0.
void divide_or_zero(CpuContext& ctx, int64_t elements, const float* a, const float* b, float* y);

struct BiasDims {
  int64_t rows = 0, channels = 0;
};
/// y [rows, C] = x + bias [C]; y may be x.
void bias_add(CpuContext& ctx, const BiasDims& dims, const float* x, const float* bias, float* y);
/// d_bias [C] = sum over rows of d_y [rows, C], in a fixed order.
void bias_backward(CpuContext& ctx, const BiasDims& dims, const float* d_y, float* d_bias);

/// A block of `inner` contiguous values for each of `outer` places: concat and slice along any axis are such copies.
struct BlockCopyDims {
  int64_t outer = 0, inner = 0;                  // values copied = outer * inner
  int64_t source_stride = 0, source_offset = 0;  // in values
  int64_t target_stride = 0, target_offset = 0;  // in values
  int64_t value_bytes = 4;
};
void block_copy(CpuContext& ctx, const BlockCopyDims& dims, const void* source, void* target);

}  // namespace psanet::kernels
