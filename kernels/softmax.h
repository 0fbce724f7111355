// Softmax over the last axis.
#pragma once

#include "kernels/context.h"

namespace psanet::kernels {

struct SoftmaxDims {
  int64_t rows = 0, columns = 0;
};

/// y [rows, columns]; y may be x.
void softmax_forward(CpuContext& ctx, const SoftmaxDims& dims, const float* x, float* y);
template <class T>
void softmax_forward(CudaContext& ctx, const SoftmaxDims& dims, const T* x, T* y);
/// d_x = y * (d_y - sum(d_y * y)); d_x may be d_y.
void softmax_backward(CpuContext& ctx, const SoftmaxDims& dims, const float* y, const float* d_y, float* d_x);
template <class T>
void softmax_backward(CudaContext& ctx, const SoftmaxDims& dims, const T* y, const T* d_y, T* d_x);

}  // namespace psanet::kernels
