// Two-dimensional convolution, NHWC, weights [out, kh, kw, in]; forward and both gradients are prepared once, run
// often.
#pragma once

#include <memory>

#include "kernels/context.h"

namespace psanet::kernels {

struct Conv2dDims {
  int64_t batch = 0, in_h = 0, in_w = 0, in_channels = 0;
  int64_t out_channels = 0, kernel_h = 1, kernel_w = 1;
  int64_t stride_h = 1, stride_w = 1, pad_h = 0, pad_w = 0, dilation_h = 1, dilation_w = 1;
  Scalar scalar = Scalar::f32;  // of x, w, y, residual, d_y and d_x; bias and d_w are float

  int64_t out_h() const { return (in_h + 2 * pad_h - dilation_h * (kernel_h - 1) - 1) / stride_h + 1; }
  int64_t out_w() const { return (in_w + 2 * pad_w - dilation_w * (kernel_w - 1) - 1) / stride_w + 1; }
  /// Multiplications and additions of one direction, padding counted as work.
  double flops() const {
    return 2.0 * static_cast<double>(batch * out_h() * out_w() * out_channels) *
           static_cast<double>(kernel_h * kernel_w * in_channels);
  }
};

/// y = relu?(conv(x, w) + bias? + residual?): what the convolution does on its way out, in this order.
struct Conv2dEpilogue {
  bool bias = false, residual = false, relu = false;
};

/// y [N,OH,OW,OC] from x [N,H,W,IC].
class Conv2dForward {
 public:
  virtual ~Conv2dForward() = default;
  /// Scratch memory a run needs.
  virtual int64_t workspace_bytes() const = 0;
  /// Memory for the weights in the library's own order; pack() fills it. Only used when weights stay the same over
  /// runs.
  virtual int64_t packed_bytes() const = 0;
  virtual void pack(const void* w, void* packed) = 0;
  /// As run(), with weights from pack().
  virtual void run_packed(const void* x, const void* packed, const float* bias, const void* residual, void* y,
                          void* workspace) = 0;
  /// w [OC,KH,KW,IC]; bias [OC] and residual [N,OH,OW,OC] or null as the epilogue says; y must not overlap the inputs.
  virtual void run(const void* x, const void* w, const float* bias, const void* residual, void* y, void* workspace) = 0;
};

/// d_x [N,H,W,IC] from d_y and w.
class Conv2dBackwardData {
 public:
  virtual ~Conv2dBackwardData() = default;
  virtual int64_t workspace_bytes() const = 0;
  virtual void run(const void* d_y, const void* w, void* d_x, void* workspace) = 0;
};

/// d_w [OC,KH,KW,IC] from x and d_y (overwritten, not added to).
class Conv2dBackwardWeights {
 public:
  virtual ~Conv2dBackwardWeights() = default;
  virtual int64_t workspace_bytes() const = 0;
  virtual void run(const void* x, const void* d_y, float* d_w, void* workspace) = 0;
};

/// On the CPU only float.
std::shared_ptr<Conv2dForward> prepare_conv2d_forward(CpuContext& ctx, const Conv2dDims& dims,
                                                      const Conv2dEpilogue& epilogue);
std::shared_ptr<Conv2dBackwardData> prepare_conv2d_backward_data(CpuContext& ctx, const Conv2dDims& dims);
std::shared_ptr<Conv2dBackwardWeights> prepare_conv2d_backward_weights(CpuContext& ctx, const Conv2dDims& dims);

std::shared_ptr<Conv2dForward> prepare_conv2d_forward(CudaContext& ctx, const Conv2dDims& dims,
                                                      const Conv2dEpilogue& epilogue);
std::shared_ptr<Conv2dBackwardData> prepare_conv2d_backward_data(CudaContext& ctx, const Conv2dDims& dims);
std::shared_ptr<Conv2dBackwardWeights> prepare_conv2d_backward_weights(CudaContext& ctx, const Conv2dDims& dims);

}  // namespace psanet::kernels
