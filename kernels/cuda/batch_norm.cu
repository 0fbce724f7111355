// The passes of batch norm over memory: each tensor is read or written once, and a thread computes the factors of its
// channels once. y and d_x, d_residual may be one of the inputs: a thread reads the values of a row before it writes
// that row, and nobody else reads them.
#include <limits>

#include "kernels/batch_norm.h"
#include "kernels/cuda/channel_walk.h"

namespace psanet::kernels {

namespace cuda {
namespace {

/// lowest: what y is at least; 0 for ReLU, else -infinity.
template <class T, int kN, bool kResidual>
__global__ void __launch_bounds__(kWalkThreads, kWalkBlocks)
    apply_kernel(int64_t rows, int64_t channels, int log2_across, float epsilon, float lowest, const T* x,
                 const float* mean, const float* variance, const float* weight, const float* bias, const T* residual,
                 T* y) {
  struct Row {
    Pack<T, kN> x, residual;
  };
  const WalkPlace at = walk_place<kN>(log2_across);
  if (at.channel >= channels) return;
  const Floats<kN> m = load_floats<kN>(mean + at.channel), b = load_floats<kN>(bias + at.channel);
  Floats<kN> factor = load_floats<kN>(weight + at.channel);
  const Floats<kN> v = load_floats<kN>(variance + at.channel);
  PSANET_UNROLL
  for (int i = 0; i < kN; ++i) factor.v[i] /= sqrtf(v.v[i] + epsilon);

  walk_rows<kResidual ? 2 : 4>(
      static_cast<int64_t>(blockIdx.y) * at.rows + at.row, rows, static_cast<int64_t>(gridDim.y) * at.rows,
      [&](int64_t row) {
        const int64_t i = row * channels + at.channel;
        Row in;
        in.x = load<kN>(x + i);
        if constexpr (kResidual) in.residual = load<kN>(residual + i);
        return in;
      },
      [&](int64_t row, const Row& in) {
        Pack<T, kN> out;
        PSANET_UNROLL
        for (int i = 0; i < kN; ++i) {
          float value = (as_float(in.x.v[i]) - m.v[i]) * factor.v[i] + b.v[i];
          if constexpr (kResidual) value += as_float(in.residual.v[i]);
          out.v[i] = rounded<T>(value < lowest ? lowest : value);  // so written, NaN stays NaN
        }
        store(y + row * channels + at.channel, out);
      });
}

/// Four numbers for each of 8 channels and six loads under way: 128 registers, of which 512 threads can have so many.
/// Still 48 KiB on their way to each multiprocessor.
constexpr int kBackwardBlocks = 2;

/// d_x = factor * (g - shift - (x - mean) * slope); share = 1 / total rows. d_weight and d_bias null: shift and slope
/// are 0 and x is not read. d_residual may be null.
template <class T, int kN, bool kRelu>
__global__ void __launch_bounds__(kWalkThreads, kBackwardBlocks)
    backward_apply_kernel(int64_t rows, int64_t channels, int log2_across, float epsilon, float share, const T* x,
                          const T* y, const float* mean, const float* variance, const float* weight,
                          const float* d_weight, const float* d_bias, const T* d_y, T* d_x, T* d_residual) {
  struct Row {
    Pack<T, kN> x, y, d_y;
  };
  const WalkPlace at = walk_place<kN>(log2_across);
  if (at.channel >= channels) return;
  const bool constant = d_weight == nullptr;
  Floats<kN> m = {}, shift = {}, slope = {}, factor = load_floats<kN>(weight + at.channel);
  const Floats<kN> v = load_floats<kN>(variance + at.channel);
  if (!constant) {
    m = load_floats<kN>(mean + at.channel);
    shift = load_floats<kN>(d_bias + at.channel);
    slope = load_floats<kN>(d_weight + at.channel);
  }
  PSANET_UNROLL
  for (int i = 0; i < kN; ++i) {
    const float inverse_deviation = 1.0f / sqrtf(v.v[i] + epsilon);
    factor.v[i] *= inverse_deviation;
    shift.v[i] *= share;
    slope.v[i] *= share * inverse_deviation;
  }

  walk_rows<2>(
      static_cast<int64_t>(blockIdx.y) * at.rows + at.row, rows, static_cast<int64_t>(gridDim.y) * at.rows,
      [&](int64_t row) {
        const int64_t i = row * channels + at.channel;
        Row in;
        in.x = constant ? Pack<T, kN>{} : load<kN>(x + i);
        if constexpr (kRelu) in.y = load<kN>(y + i);
        in.d_y = load<kN>(d_y + i);
        return in;
      },
      [&](int64_t row, const Row& in) {
        Pack<T, kN> masked = in.d_y, out;
        PSANET_UNROLL
        for (int i = 0; i < kN; ++i) {
          if constexpr (kRelu) masked.v[i] = as_float(in.y.v[i]) > 0.0f ? masked.v[i] : T{};
          const float g = as_float(masked.v[i]);
          out.v[i] = rounded<T>(factor.v[i] * (g - shift.v[i] - (as_float(in.x.v[i]) - m.v[i]) * slope.v[i]));
        }
        const int64_t i = row * channels + at.channel;
        if (d_residual != nullptr) store(d_residual + i, masked);
        store(d_x + i, out);
      });
}

__global__ void update_running_kernel(int64_t channels, float unbiased, float momentum, const float* mean,
                                      const float* variance, float* running_mean, float* running_variance,
                                      const float* guard) {
  if (guard != nullptr && is_non_finite(*guard)) return;
  const int64_t c = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (c >= channels) return;
  running_mean[c] = (1.0f - momentum) * running_mean[c] + momentum * mean[c];
  running_variance[c] = (1.0f - momentum) * running_variance[c] + momentum * (variance[c] * unbiased);
}

__global__ void pack_moments_kernel(int64_t channels, double rows, const float* mean, const float* variance,
                                    double* message) {
  const int64_t c = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (c >= channels) return;
  if (c == 0) message[0] = rows;
  message[1 + c] = mean[c];
  message[1 + channels + c] = static_cast<double>(variance[c]) * rows;
}

/// A thread for a channel.
__global__ void merge_moments_kernel(int64_t channels, int ranks, const double* messages, float* mean,
                                     float* variance) {
  const int64_t c = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (c >= channels) return;
  const int64_t stride = 1 + 2 * channels;
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

/// A block for an output channel.
__global__ void fold_kernel(int64_t inner, float epsilon, const float* w, const float* conv_bias, const float* mean,
                            const float* variance, const float* weight, const float* bias, float* folded_w,
                            float* folded_bias) {
  const int64_t o = blockIdx.x;
  const float factor = weight[o] / sqrtf(variance[o] + epsilon);
  if (threadIdx.x == 0) {
    const float shift = conv_bias == nullptr ? 0.0f : conv_bias[o];
    folded_bias[o] = bias[o] + (shift - mean[o]) * factor;
  }
  for (int64_t i = threadIdx.x; i < inner; i += blockDim.x) folded_w[o * inner + i] = w[o * inner + i] * factor;
}

}  // namespace
}  // namespace cuda

template <class T>
void batch_norm_apply(CudaContext& ctx, const BatchNormDims& dims, const BatchNormEpilogue& epilogue, const T* x,
                      const float* mean, const float* variance, const float* weight, const float* bias,
                      const T* residual, T* y) {
  using namespace cuda;
  if (dims.rows * dims.channels == 0) return;
  constexpr int kN = kVector<T>;
  const bool wide = dims.channels % kN == 0;
  const ChannelWalk walk = channel_walk(dims.channels, wide ? kN : 1);
  const auto kernel = epilogue.residual ? (wide ? apply_kernel<T, kN, true> : apply_kernel<T, 1, true>)
                                        : (wide ? apply_kernel<T, kN, false> : apply_kernel<T, 1, false>);
  const float lowest = epilogue.relu ? 0.0f : -std::numeric_limits<float>::infinity();
  launch(ctx, kernel, walk_rows_of(ctx, walk, dims.rows, dims.channels), dims.rows, dims.channels, walk.log2_across,
         dims.epsilon, lowest, x, mean, variance, weight, bias, residual, y);
}

template <class T>
void batch_norm_backward_apply(CudaContext& ctx, const BatchNormDims& dims, const BatchNormEpilogue& epilogue,
                               double total_rows, const T* x, const T* y, const float* mean, const float* variance,
                               const float* weight, const float* d_weight, const float* d_bias, const T* d_y, T* d_x,
                               T* d_residual) {
  using namespace cuda;
  if (dims.rows * dims.channels == 0) return;
  constexpr int kN = kVector<T>;
  const bool wide = dims.channels % kN == 0;
  const ChannelWalk walk = channel_walk(dims.channels, wide ? kN : 1);
  const auto kernel = epilogue.relu ? (wide ? backward_apply_kernel<T, kN, true> : backward_apply_kernel<T, 1, true>)
                                    : (wide ? backward_apply_kernel<T, kN, false> : backward_apply_kernel<T, 1, false>);
  launch(ctx, kernel, walk_rows_of(ctx, walk, dims.rows, dims.channels, 1, kBackwardBlocks), dims.rows, dims.channels,
         walk.log2_across, dims.epsilon, static_cast<float>(1.0 / total_rows), x, y, mean, variance, weight, d_weight,
         d_bias, d_y, d_x, d_residual);
}

void batch_norm_update_running(CudaContext& ctx, int64_t channels, double total_rows, float momentum, const float* mean,
                               const float* variance, float* running_mean, float* running_variance,
                               const float* guard) {
  using namespace cuda;
  if (channels == 0) return;
  const float unbiased = total_rows > 1 ? static_cast<float>(total_rows / (total_rows - 1)) : 1.0f;
  launch(ctx, update_running_kernel, {{ceil_div(channels, 128)}, 128}, channels, unbiased, momentum, mean, variance,
         running_mean, running_variance, guard);
}

void batch_norm_pack_moments(CudaContext& ctx, int64_t channels, double rows, const float* mean, const float* variance,
                             double* message) {
  using namespace cuda;
  launch(ctx, pack_moments_kernel, {{ceil_div(channels, 128)}, 128}, channels, rows, mean, variance, message);
}

void batch_norm_merge_moments(CudaContext& ctx, int64_t channels, int ranks, const double* messages, float* mean,
                              float* variance) {
  using namespace cuda;
  launch(ctx, merge_moments_kernel, {{ceil_div(channels, 128)}, 128}, channels, ranks, messages, mean, variance);
}

void fold_batch_norm(CudaContext& ctx, const BatchNormDims& dims, const float* w, const float* conv_bias,
                     const float* mean, const float* variance, const float* weight, const float* bias, float* folded_w,
                     float* folded_bias) {
  using namespace cuda;
  if (dims.channels == 0) return;
  launch(ctx, fold_kernel, {{dims.channels}, 256}, dims.rows, dims.epsilon, w, conv_bias, mean, variance, weight, bias,
         folded_w, folded_bias);
}

#define PSANET_INSTANTIATE(T)                                                                                          \
  template void batch_norm_apply(CudaContext&, const BatchNormDims&, const BatchNormEpilogue&, const T*, const float*, \
                                 const float*, const float*, const float*, const T*, T*);                              \
  template void batch_norm_backward_apply(CudaContext&, const BatchNormDims&, const BatchNormEpilogue&, double,        \
                                          const T*, const T*, const float*, const float*, const float*, const float*,  \
                                          const float*, const T*, T*, T*);
PSANET_INSTANTIATE(float)
PSANET_INSTANTIATE(bf16)
#undef PSANET_INSTANTIATE

}  // namespace psanet::kernels
