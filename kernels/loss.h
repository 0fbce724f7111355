// Bilinear resize + softmax cross entropy in one operation: full-resolution logits are never in memory.
#pragma once

#include "kernels/resize.h"

namespace psanet::kernels {

/// Sums over the pixels whose label is not `ignore`:
///   loss_sum [1] and valid [1] (their number, as float), and, when not null,
///   d_logits [N,H,W,C], the gradient of loss_sum with respect to logits [N,H,W,C] (low resolution, dims.in_*).
/// label [N,OH,OW], uint8. out size equal to in size: plain softmax cross entropy.
/// A label >= C that is not `ignore` is counted as invalid (the data loader has checked it).
void resize_cross_entropy(CpuContext& ctx, const ResizeDims& dims, int ignore, const float* logits,
                          const uint8_t* label, float* loss_sum, float* valid, float* d_logits, void* workspace);
int64_t resize_cross_entropy_workspace_bytes(const CpuContext& ctx, const ResizeDims& dims);
template <class T>
void resize_cross_entropy(CudaContext& ctx, const ResizeDims& dims, int ignore, const T* logits, const uint8_t* label,
                          float* loss_sum, float* valid, T* d_logits, void* workspace);
int64_t resize_cross_entropy_workspace_bytes(const CudaContext& ctx, const ResizeDims& dims);

/// counts [C, C] int64, row = truth, column = prediction, are ADDED to; pixels with truth `ignore` or >= C are left
/// out.
void confusion_counts(CpuContext& ctx, int64_t pixels, int64_t classes, int ignore, const uint8_t* prediction,
                      const uint8_t* truth, int64_t* counts);
void confusion_counts(CudaContext& ctx, int64_t pixels, int64_t classes, int ignore, const uint8_t* prediction,
                      const uint8_t* truth, int64_t* counts);

}  // namespace psanet::kernels
