// Batch normalisation over rows = N*H*W of an NHWC tensor, as two operations each way: a reduction over rows, then one
// pass over memory. Between the two a data-parallel program reduces over devices (synchronised batch norm).
#pragma once

#include "kernels/context.h"

namespace psanet::kernels {

struct BatchNormDims {
  int64_t rows = 0, channels = 0;
  float epsilon = 1e-5f;
};

/// Fused into the pass over memory: y = relu?(normalise(x) + residual?).
struct BatchNormEpilogue {
  bool residual = false, relu = false;
};

/// mean [C] and biased variance [C] of x [rows, C]; two passes over the data, not E[x^2] - E[x]^2.
void batch_norm_statistics(CpuContext& ctx, const BatchNormDims& dims, const float* x, float* mean, float* variance);
template <class T>
void batch_norm_statistics(CudaContext& ctx, const BatchNormDims& dims, const T* x, float* mean, float* variance);

/// y [rows, C] = relu?((x - mean) / sqrt(variance + epsilon) * weight + bias + residual?).
/// residual [rows, C] may be null without the epilogue. y may be x or residual.
void batch_norm_apply(CpuContext& ctx, const BatchNormDims& dims, const BatchNormEpilogue& epilogue, const float* x,
                      const float* mean, const float* variance, const float* weight, const float* bias,
                      const float* residual, float* y);
template <class T>
void batch_norm_apply(CudaContext& ctx, const BatchNormDims& dims, const BatchNormEpilogue& epilogue, const T* x,
                      const float* mean, const float* variance, const float* weight, const float* bias,
                      const T* residual, T* y);

/// d_bias [C] = sum of g, d_weight [C] = sum of g * x_hat, where g = d_y where y > 0 (with ReLU) or d_y.
/// y is only read with ReLU (null otherwise).
void batch_norm_backward_reduce(CpuContext& ctx, const BatchNormDims& dims, const BatchNormEpilogue& epilogue,
                                const float* x, const float* y, const float* mean, const float* variance,
                                const float* d_y, float* d_weight, float* d_bias);
template <class T>
void batch_norm_backward_reduce(CudaContext& ctx, const BatchNormDims& dims, const BatchNormEpilogue& epilogue,
                                const T* x, const T* y, const float* mean, const float* variance, const T* d_y,
                                float* d_weight, float* d_bias);

/// d_x [rows, C] = weight / sqrt(variance + eps) * (g - d_bias / total_rows - x_hat * d_weight / total_rows), and
/// d_residual = g when asked for (not null; may be d_y). d_x may be d_y only if d_residual is null.
/// With d_weight and d_bias null the statistics are constants (evaluation mode): d_x = weight / sqrt(variance + eps) *
/// g. total_rows: rows over all devices.
void batch_norm_backward_apply(CpuContext& ctx, const BatchNormDims& dims, const BatchNormEpilogue& epilogue,
                               double total_rows, const float* x, const float* y, const float* mean,
                               const float* variance, const float* weight, const float* d_weight, const float* d_bias,
                               const float* d_y, float* d_x, float* d_residual);
template <class T>
void batch_norm_backward_apply(CudaContext& ctx, const BatchNormDims& dims, const BatchNormEpilogue& epilogue,
                               double total_rows, const T* x, const T* y, const float* mean, const float* variance,
                               const float* weight, const float* d_weight, const float* d_bias, const T* d_y, T* d_x,
                               T* d_residual);

/// running = (1 - momentum) * running + momentum * batch, the variance made unbiased by total_rows / (total_rows - 1)
/// (total_rows 1 leaves it as it is). All [C], running_* updated in place. guard [1] may be null; where it is NaN or
/// infinite nothing changes.
void batch_norm_update_running(CpuContext& ctx, int64_t channels, double total_rows, float momentum, const float* mean,
                               const float* variance, float* running_mean, float* running_variance,
                               const float* guard = nullptr);
void batch_norm_update_running(CudaContext& ctx, int64_t channels, double total_rows, float momentum, const float* mean,
                               const float* variance, float* running_mean, float* running_variance,
                               const float* guard = nullptr);

/// What a rank tells the others of its rows: message [1 + 2 C] = its rows, mean [C], rows * variance [C].
void batch_norm_pack_moments(CpuContext& ctx, int64_t channels, double rows, const float* mean, const float* variance,
                             double* message);
void batch_norm_pack_moments(CudaContext& ctx, int64_t channels, double rows, const float* mean, const float* variance,
                             double* message);
/// mean [C] and biased variance [C] over the rows of all ranks, from messages [ranks, 1 + 2 C], merged in their order
/// (Chan, Golub and LeVeque 1983).
void batch_norm_merge_moments(CpuContext& ctx, int64_t channels, int ranks, const double* messages, float* mean,
                              float* variance);
void batch_norm_merge_moments(CudaContext& ctx, int64_t channels, int ranks, const double* messages, float* mean,
                              float* variance);

/// Weights of a convolution followed by a batch norm in evaluation mode:
/// folded_w [OC, inner] = w * s, folded_bias [OC] = bias - mean * s, s = weight / sqrt(variance + eps); dims.rows =
/// inner, dims.channels = OC. conv_bias [OC] may be null; else it is scaled and added.
void fold_batch_norm(CpuContext& ctx, const BatchNormDims& dims, const float* w, const float* conv_bias,
                     const float* mean, const float* variance, const float* weight, const float* bias, float* folded_w,
                     float* folded_bias);
void fold_batch_norm(CudaContext& ctx, const BatchNormDims& dims, const float* w, const float* conv_bias,
                     const float* mean, const float* variance, const float* weight, const float* bias, float* folded_w,
                     float* folded_bias);

}  // namespace psanet::kernels
