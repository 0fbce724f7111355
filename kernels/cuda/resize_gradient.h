// The gradient of a bilinear resize, between any two stored types: the loss keeps gradients of pixels in float.
#pragma once

#include "kernels/cuda/runtime.h"
#include "kernels/resize.h"

namespace psanet::kernels::cuda {

/// d_x [N,H,W,C] from d_y [N,OH,OW,C].
template <class From, class To>
void resize_gradient(CudaContext& ctx, const ResizeDims& dims, const From* d_y, To* d_x);

}  // namespace psanet::kernels::cuda
