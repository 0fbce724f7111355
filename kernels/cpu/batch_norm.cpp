#include "kernels/batch_norm.h"

#include <cmath>

#include "kernels/cpu/parallel.h"
#include "kernels/cpu/row_blocks.h"

namespace psanet::kernels {

using namespace cpu;  // the helpers of this folder

namespace {

/// Channels normalised at a time: their factors are kept on the stack.
constexpr int64_t kChunk = 1024;

/// body(rows, first channel, channels) over pieces of a [rows, C] tensor that fit the cache.
template <class Body>
void parallel_pieces(const CpuContext& ctx, const BatchNormDims& dims, const Body& body) {
  const int64_t width = std::min(dims.channels, kChunk);
  const int64_t step = std::max<int64_t>(16, 32768 / std::max<int64_t>(1, width));
  const int64_t chunks = ceil_div(dims.channels, kChunk);
  parallel_blocks(ctx, ceil_div(dims.rows, step) * chunks, [&](int64_t block) {
    const Range channels = block_range(block % chunks, kChunk, dims.channels);
    body(block_range(block / chunks, step, dims.rows), channels.begin, channels.end - channels.begin);
  });
}

/// Mean and sum of squared distances from it, and how two such merge (Chan, Golub, LeVeque 1983): unlike
/// E[x^2] - E[x]^2 nothing cancels when the mean is large.
struct Moments {
  double* mean;
  double* squares;
  int64_t rows = 0;

  template <class Mean, class Squares>
  void merge(int64_t more_rows, int64_t channels, const Mean* more_mean, const Squares* more_squares) {
    const double share = static_cast<double>(more_rows) / static_cast<double>(rows + more_rows);
    const double weight = share * static_cast<double>(rows);
#pragma omp simd
    for (int64_t c = 0; c < channels; ++c) {
      const double distance = static_cast<double>(more_mean[c]) - mean[c];
      mean[c] += distance * share;
      squares[c] += static_cast<double>(more_squares[c]) + distance * distance * weight;
    }
    rows += more_rows;
  }
};

/// Moments of some rows of a group of channels, in runs of kShortSum rows that are in the cache for their second pass.
void moments_of_rows(const float* x, int64_t stride, Range rows, int64_t channels, Moments moments) {
  std::fill_n(moments.mean, channels, 0.0);
  std::fill_n(moments.squares, channels, 0.0);
  for (int64_t first = rows.begin; first < rows.end; first += kShortSum) {
    const int64_t last = std::min(rows.end, first + kShortSum);
    const float share = 1.0f / static_cast<float>(last - first);
    // Distances from the run's first row: small numbers, however large the mean is.
    const float* origin = x + first * stride;
    float mean[kChannelGroup] = {}, squares[kChannelGroup] = {};
    for (int64_t r = first; r < last; ++r) {
      const float* row = x + r * stride;
#pragma omp simd
      for (int64_t c = 0; c < channels; ++c) mean[c] += row[c] - origin[c];
    }
    double place[kChannelGroup];
#pragma omp simd
    for (int64_t c = 0; c < channels; ++c) {
      mean[c] *= share;
      place[c] = static_cast<double>(origin[c]) + mean[c];
    }
    for (int64_t r = first; r < last; ++r) {
      const float* row = x + r * stride;
#pragma omp simd
      for (int64_t c = 0; c < channels; ++c) {
        const float distance = row[c] - origin[c] - mean[c];
        squares[c] += distance * distance;
      }
    }
    moments.merge(last - first, channels, place, squares);
  }
}

template <bool kResidual, bool kRelu>
void apply(CpuContext& ctx, const BatchNormDims& dims, const float* x, const float* mean, const float* variance,
           const float* weight, const float* bias, const float* residual, float* y) {
  parallel_pieces(ctx, dims, [&](Range rows, int64_t first, int64_t channels) {
    float factor[kChunk];
    const float *m = mean + first, *b = bias + first;
#pragma omp simd
    for (int64_t c = 0; c < channels; ++c) {
      factor[c] = weight[first + c] / std::sqrt(variance[first + c] + dims.epsilon);
    }
    for (int64_t r = rows.begin; r < rows.end; ++r) {
      const int64_t at = r * dims.channels + first;
#pragma omp simd
      for (int64_t c = 0; c < channels; ++c) {
        float v = (x[at + c] - m[c]) * factor[c] + b[c];
        if constexpr (kResidual) v += residual[at + c];
        if constexpr (kRelu) v = v < 0.0f ? 0.0f : v;
        y[at + c] = v;
      }
    }
  });
}

template <bool kRelu>
void backward_reduce(CpuContext& ctx, const BatchNormDims& dims, const float* x, const float* y, const float* mean,
                     const float* variance, const float* d_y, float* d_weight, float* d_bias) {
  const auto add_row = [&](int64_t row, int64_t first, int64_t channels, float(&sums)[2][kChannelGroup]) {
    const int64_t at = row * dims.channels + first;
    const float* m = mean + first;
#pragma omp simd
    for (int64_t c = 0; c < channels; ++c) {
      float g = d_y[at + c];
      if constexpr (kRelu) g = y[at + c] > 0.0f ? g : 0.0f;
      sums[0][c] += g;
      sums[1][c] += g * (x[at + c] - m[c]);
    }
  };
  sum_rows<2>(ctx, dims.rows, dims.channels, add_row, {d_bias, d_weight});
  for (int64_t c = 0; c < dims.channels; ++c) d_weight[c] /= std::sqrt(variance[c] + dims.epsilon);
}

/// d_x = factor * (g - shift - (x - mean) * slope)
struct BackwardFactors {
  float factor[kChunk], shift[kChunk], slope[kChunk];
};

template <bool kRelu, bool kResidual, bool kConstant>
void backward_apply(CpuContext& ctx, const BatchNormDims& dims, double total_rows, const float* x, const float* y,
                    const float* mean, const float* variance, const float* weight, const float* d_weight,
                    const float* d_bias, const float* d_y, float* d_x, float* d_residual) {
  const float share = static_cast<float>(1.0 / total_rows);
  parallel_pieces(ctx, dims, [&](Range rows, int64_t first, int64_t channels) {
    BackwardFactors f;
    const float* m = mean + first;
    for (int64_t c = 0; c < channels; ++c) {
      const float inverse_deviation = 1.0f / std::sqrt(variance[first + c] + dims.epsilon);
      f.factor[c] = weight[first + c] * inverse_deviation;
      if constexpr (!kConstant) {
        f.shift[c] = d_bias[first + c] * share;
        f.slope[c] = d_weight[first + c] * share * inverse_deviation;
      }
    }
    for (int64_t r = rows.begin; r < rows.end; ++r) {
      const int64_t at = r * dims.channels + first;
#pragma omp simd
      for (int64_t c = 0; c < channels; ++c) {
        float g = d_y[at + c];
        if constexpr (kRelu) g = y[at + c] > 0.0f ? g : 0.0f;
        if constexpr (kResidual) d_residual[at + c] = g;
        if constexpr (!kConstant) g = g - f.shift[c] - (x[at + c] - m[c]) * f.slope[c];
        d_x[at + c] = f.factor[c] * g;
      }
    }
  });
}

}  // namespace

void batch_norm_statistics(CpuContext& ctx, const BatchNormDims& dims, const float* x, float* mean, float* variance) {
  const RowBlocks blocks(dims.rows);
  PartialSums block_mean, block_squares;
  for (int64_t group = 0; group < dims.channels; group += kChannelGroup) {
    const int64_t channels = std::min(kChannelGroup, dims.channels - group);
    parallel_blocks(ctx, blocks.blocks, [&](int64_t block) {
      moments_of_rows(x + group, dims.channels, blocks[block], channels, {block_mean[block], block_squares[block]});
    });
    double total_mean[kChannelGroup] = {}, total_squares[kChannelGroup] = {};
    Moments total{total_mean, total_squares};
    for (int64_t block = 0; block < blocks.blocks; ++block) {
      const Range rows = blocks[block];
      total.merge(rows.end - rows.begin, channels, block_mean[block], block_squares[block]);
    }
    for (int64_t c = 0; c < channels; ++c) {
      mean[group + c] = static_cast<float>(total_mean[c]);
      variance[group + c] = static_cast<float>(total_squares[c] / static_cast<double>(dims.rows));
    }
  }
}

void batch_norm_apply(CpuContext& ctx, const BatchNormDims& dims, const BatchNormEpilogue& epilogue, const float* x,
                      const float* mean, const float* variance, const float* weight, const float* bias,
                      const float* residual, float* y) {
  const auto chosen = epilogue.residual ? (epilogue.relu ? apply<true, true> : apply<true, false>)
                                        : (epilogue.relu ? apply<false, true> : apply<false, false>);
  chosen(ctx, dims, x, mean, variance, weight, bias, residual, y);
}

void batch_norm_backward_reduce(CpuContext& ctx, const BatchNormDims& dims, const BatchNormEpilogue& epilogue,
                                const float* x, const float* y, const float* mean, const float* variance,
                                const float* d_y, float* d_weight, float* d_bias) {
  const auto chosen = epilogue.relu ? backward_reduce<true> : backward_reduce<false>;
  chosen(ctx, dims, x, y, mean, variance, d_y, d_weight, d_bias);
}

void batch_norm_backward_apply(CpuContext& ctx, const BatchNormDims& dims, const BatchNormEpilogue& epilogue,
                               double total_rows, const float* x, const float* y, const float* mean,
                               const float* variance, const float* weight, const float* d_weight, const float* d_bias,
                               const float* d_y, float* d_x, float* d_residual) {
  const bool constant = d_weight == nullptr;
  const bool residual = d_residual != nullptr;
  const auto choose = [&]<bool kRelu>() {
    return residual ? (constant ? backward_apply<kRelu, true, true> : backward_apply<kRelu, true, false>)
                    : (constant ? backward_apply<kRelu, false, true> : backward_apply<kRelu, false, false>);
  };
  const auto chosen = epilogue.relu ? choose.template operator()<true>() : choose.template operator()<false>();
  chosen(ctx, dims, total_rows, x, y, mean, variance, weight, d_weight, d_bias, d_y, d_x, d_residual);
}

void batch_norm_update_running(CpuContext&, int64_t channels, double total_rows, float momentum, const float* mean,
                               const float* variance, float* running_mean, float* running_variance,
                               const float* guard) {
  if (guard != nullptr && !std::isfinite(guard[0])) return;
  const float unbiased = total_rows > 1 ? static_cast<float>(total_rows / (total_rows - 1)) : 1.0f;
  for (int64_t c = 0; c < channels; ++c) {
    running_mean[c] = (1.0f - momentum) * running_mean[c] + momentum * mean[c];
    running_variance[c] = (1.0f - momentum) * running_variance[c] + momentum * (variance[c] * unbiased);
  }
}

void batch_norm_pack_moments(CpuContext&, int64_t channels, double rows, const float* mean, const float* variance,
                             double* message) {
  message[0] = rows;
  for (int64_t c = 0; c < channels; ++c) {
    message[1 + c] = static_cast<double>(mean[c]);
    message[1 + channels + c] = static_cast<double>(variance[c]) * rows;
  }
}

void batch_norm_merge_moments(CpuContext&, int64_t channels, int ranks, const double* messages, float* mean,
                              float* variance) {
  const int64_t stride = 1 + 2 * channels;
  for (int64_t c = 0; c < channels; ++c) {
    double rows = messages[0], center = messages[1 + c], squares = messages[1 + channels + c];
    for (int r = 1; r < ranks; ++r) {
      const double* more = messages + r * stride;
      const double share = more[0] / (rows + more[0]), distance = more[1 + c] - center;
      center += distance * share;
      squares += more[1 + channels + c] + distance * distance * (rows * share);
      rows += more[0];
    }
    mean[c] = static_cast<float>(center);
    variance[c] = static_cast<float>(squares / rows);
  }
}

void fold_batch_norm(CpuContext& ctx, const BatchNormDims& dims, const float* w, const float* conv_bias,
                     const float* mean, const float* variance, const float* weight, const float* bias, float* folded_w,
                     float* folded_bias) {
  const int64_t inner = dims.rows;
  parallel_blocks(ctx, dims.channels, [=](int64_t o) {
    const float factor = weight[o] / std::sqrt(variance[o] + dims.epsilon);
    const float shift = conv_bias == nullptr ? 0.0f : conv_bias[o];
    folded_bias[o] = bias[o] + (shift - mean[o]) * factor;
#pragma omp simd
    for (int64_t i = 0; i < inner; ++i) folded_w[o * inner + i] = w[o * inner + i] * factor;
  });
}

}  // namespace psanet::kernels
