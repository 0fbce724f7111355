// Max, average and adaptive average pooling, NHWC.
#pragma once

#include "kernels/context.h"

namespace psanet::kernels {

struct PoolDims {
  int64_t batch = 0, in_h = 0, in_w = 0, channels = 0;
  int64_t kernel_h = 1, kernel_w = 1, stride_h = 1, stride_w = 1, pad_h = 0, pad_w = 0;
  int64_t out_h() const { return (in_h + 2 * pad_h - kernel_h) / stride_h + 1; }
  int64_t out_w() const { return (in_w + 2 * pad_w - kernel_w) / stride_w + 1; }
};

/// y [N,OH,OW,C]; padding counts as -infinity. winner [N,OH,OW,C] (null when no gradient is needed): place of the first
/// maximum in the window, row-major (kernel_h * kernel_w <= 255). A NaN in the window wins.
void max_pool_forward(CpuContext& ctx, const PoolDims& dims, const float* x, float* y, uint8_t* winner);
template <class T>
void max_pool_forward(CudaContext& ctx, const PoolDims& dims, const T* x, T* y, uint8_t* winner);
/// d_x [N,H,W,C], gathered from the windows that cover a place, in window order.
void max_pool_backward(CpuContext& ctx, const PoolDims& dims, const uint8_t* winner, const float* d_y, float* d_x);
template <class T>
void max_pool_backward(CudaContext& ctx, const PoolDims& dims, const uint8_t* winner, const T* d_y, T* d_x);

/// Mean over the window; count_padding as in PyTorch's count_include_pad.
void average_pool_forward(CpuContext& ctx, const PoolDims& dims, bool count_padding, const float* x, float* y);
template <class T>
void average_pool_forward(CudaContext& ctx, const PoolDims& dims, bool count_padding, const T* x, T* y);
void average_pool_backward(CpuContext& ctx, const PoolDims& dims, bool count_padding, const float* d_y, float* d_x);
template <class T>
void average_pool_backward(CudaContext& ctx, const PoolDims& dims, bool count_padding, const T* d_y, T* d_x);

/// Window i covers floor(i*H/OH) .. ceil((i+1)*H/OH)-1 (golden "layers").
struct AdaptivePoolDims {
  int64_t batch = 0, in_h = 0, in_w = 0, channels = 0, out_h = 1, out_w = 1;
};
void adaptive_average_pool_forward(CpuContext& ctx, const AdaptivePoolDims& dims, const float* x, float* y);
template <class T>
void adaptive_average_pool_forward(CudaContext& ctx, const AdaptivePoolDims& dims, const T* x, T* y);
void adaptive_average_pool_backward(CpuContext& ctx, const AdaptivePoolDims& dims, const float* d_y, float* d_x);
template <class T>
void adaptive_average_pool_backward(CudaContext& ctx, const AdaptivePoolDims& dims, const T* d_y, T* d_x);

}  // namespace psanet::kernels
