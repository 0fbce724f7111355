// Bilinear resize, NHWC.
#pragma once

#include "kernels/context.h"

namespace psanet::kernels {

/// align_corners: corner pixels map onto corner pixels, source = i * (in-1)/(out-1) (0 when out is 1).
/// Otherwise half-pixel centres, source = max(0, (i + 0.5) * in/out - 0.5), clamped at the far border.
struct ResizeDims {
  int64_t batch = 0, in_h = 0, in_w = 0, channels = 0, out_h = 0, out_w = 0;
  bool align_corners = true;
};

/// y [N,OH,OW,C] from x [N,H,W,C].
void resize_forward(CpuContext& ctx, const ResizeDims& dims, const float* x, float* y);
template <class T>
void resize_forward(CudaContext& ctx, const ResizeDims& dims, const T* x, T* y);
/// d_x [N,H,W,C], gathered in output order: no atomics, the same bits whatever the number of threads.
void resize_backward(CpuContext& ctx, const ResizeDims& dims, const float* d_y, float* d_x);
template <class T>
void resize_backward(CudaContext& ctx, const ResizeDims& dims, const T* d_y, T* d_x);

/// labels [N,OH,OW]: the class with the largest resized value (the first of equals), without storing the resized map.
/// x [N,H,W,C], C <= 255.
void resize_argmax(CpuContext& ctx, const ResizeDims& dims, const float* x, uint8_t* labels);
template <class T>
void resize_argmax(CudaContext& ctx, const ResizeDims& dims, const T* x, uint8_t* labels);

}  // namespace psanet::kernels
