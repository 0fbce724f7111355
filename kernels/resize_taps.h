// A convolution of an enlarged map without the enlarged map: a 1x1 product commutes with a resize, so the sum over the
// taps of the window is taken of resized products.
#pragma once

#include "kernels/resize.h"

namespace psanet::kernels {

/// Windows of kernel_h x kernel_w taps around each place of the resized map, zeros beyond its borders; odd sizes.
struct ResizeTapsDims {
  ResizeDims resize;  // channels: of one tap, and of the result
  int64_t kernel_h = 1, kernel_w = 1, dilation_h = 1, dilation_w = 1;
  int64_t taps() const { return kernel_h * kernel_w; }
};

/// y [N,OH,OW,C] = base + sum over taps t of resize(x[..., t, :]) at the place that t stands for, x [N,H,W,taps,C].
/// base [N,OH,OW,C] may be null, or y.
void resize_taps(CpuContext& ctx, const ResizeTapsDims& dims, const float* x, const float* base, float* y);
template <class T>
void resize_taps(CudaContext& ctx, const ResizeTapsDims& dims, const T* x, const T* base, T* y);
/// d_x [N,H,W,taps,C], gathered in output order.
void resize_taps_backward(CpuContext& ctx, const ResizeTapsDims& dims, const float* d_y, float* d_x);
template <class T>
void resize_taps_backward(CudaContext& ctx, const ResizeTapsDims& dims, const T* d_y, T* d_x);

}  // namespace psanet::kernels
