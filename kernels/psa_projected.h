// Point-wise spatial attention whose logits come straight out of a 1x1 convolution without bias: logits = features x
// weight^T. Of the over-complete map only a part is ever read; here only (most of) that part is computed and stored.
//
// All owners in one row of the map need the same mask rows, those that meet the map, and they are neighbours. A few
// rows of owners together (a group) need few more: so one matrix product for each group, with a window of the weights
// that slides from group to group.
#pragma once

#include <algorithm>
#include <cmath>
#include <memory>

#include "kernels/psa.h"

namespace psanet::kernels {

struct PsaProjectedDims {
  PsaDims psa;
  int64_t features = 0;         // input channels of the convolution; on a GPU whole units of 16 bytes
  Scalar scalar = Scalar::f32;  // of everything but statistics and d_weight, which are float

  int64_t group_size = 0;  // see group_rows()

  /// Mask rows begin .. begin + count - 1 of the weights.
  struct MaskRows {
    int64_t begin, count;
  };

  int64_t mask_rows() const { return psa.compact ? psa.height : psa.mask_h; }
  int64_t mask_columns() const { return psa.compact ? psa.width : psa.mask_w; }

  /// Rows of owners in a group (the last group may have fewer): group_size if that is set. More of them: fewer and
  /// larger products, but more scores that nobody reads. Else what should be fastest if a product costs about 5 us
  /// beside its arithmetic; batch 1 on a small map comes near to one group, the whole over-complete map.
  int64_t group_rows() const {
    int64_t rows = group_size;
    if (rows == 0) {
      const double flops = 6.0 * static_cast<double>(psa.batch * psa.positions()) *
                           static_cast<double>(psa.height * mask_columns() * features);
      rows = std::llround(std::min(static_cast<double>(psa.height) * std::sqrt(2.75e9 / std::max(flops, 1.0)), 1e6));
    }
    rows = std::clamp<int64_t>(rows, 1, std::max<int64_t>(1, psa.height));
    return group_size > 0 ? rows : std::max<int64_t>(1, (psa.height + groups_of(rows) - 1) / groups_of(rows));
  }
  int64_t groups() const { return groups_of(group_rows()); }

  /// Groups count from the bottom of the map, so that their windows move down the mask.
  int64_t rows_of_group(int64_t group) const { return std::min(group_rows(), psa.height - group * group_rows()); }
  MaskRows window(int64_t group) const {
    if (psa.compact) return {0, psa.height};
    const int64_t half = (psa.mask_h - 1) / 2, last = psa.height - 1 - group * group_rows();
    const int64_t begin = std::max<int64_t>(0, half - last);
    const int64_t end = std::min(psa.mask_h, half - (last - rows_of_group(group) + 1) + psa.height);
    return {begin, end - begin};
  }

  // Scores: [rows of the map from the last to the first][N][W][score_columns], those of an owner being the mask rows of
  // its group's window. 16-byte aligned rows.
  int64_t score_columns() const {
    const int64_t rows = psa.compact ? psa.height : std::min(psa.mask_h, psa.height + group_rows() - 1);
    return (rows * mask_columns() + 7) / 8 * 8;
  }
  int64_t score_elements() const { return psa.batch * psa.positions() * score_columns(); }

 private:
  int64_t groups_of(int64_t rows) const { return std::max<int64_t>(1, (psa.height + rows - 1) / rows); }
};

/// out [N,H,W,C], scores [score_elements()] and statistics [N,H*W,2] (the last two are saved for backward) from value
/// [N,H,W,C], features [N,H,W,F] and weight [K,F].
class PsaProjectedForward {
 public:
  virtual ~PsaProjectedForward() = default;
  virtual int64_t workspace_bytes() const = 0;
  virtual void run(const void* value, const void* features, const void* weight, void* out, void* scores,
                   float* statistics, void* workspace) = 0;
};

/// d_value, d_features and d_weight [K,F] (float; overwritten).
class PsaProjectedBackward {
 public:
  virtual ~PsaProjectedBackward() = default;
  virtual int64_t workspace_bytes() const = 0;
  virtual void run(const void* value, const void* features, const void* weight, const void* out, const void* scores,
                   const float* statistics, const void* d_out, void* d_value, void* d_features, float* d_weight,
                   void* workspace) = 0;
};

/// On the CPU only float.
std::shared_ptr<PsaProjectedForward> prepare_psa_projected_forward(CpuContext& ctx, const PsaProjectedDims& dims);
std::shared_ptr<PsaProjectedBackward> prepare_psa_projected_backward(CpuContext& ctx, const PsaProjectedDims& dims);

std::shared_ptr<PsaProjectedForward> prepare_psa_projected_forward(CudaContext& ctx, const PsaProjectedDims& dims);
std::shared_ptr<PsaProjectedBackward> prepare_psa_projected_backward(CudaContext& ctx, const PsaProjectedDims& dims);

}  // namespace psanet::kernels
