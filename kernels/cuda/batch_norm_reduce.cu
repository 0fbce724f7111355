// The reductions of batch norm over rows: each reads its tensors once. Two kernels: the first leaves two numbers for
// each channel and share of the rows, the second merges the shares. All sums are made in an order that only the shape
// decides.
#include "kernels/batch_norm.h"
#include "kernels/cuda/channel_walk.h"
#include "kernels/cuda/columns.h"

namespace psanet::kernels {

namespace cuda {
namespace {

__device__ __forceinline__ int64_t smaller(int64_t a, int64_t b) {
  return a < b ? a : b;
}

/// The rows of a share.
struct ShareRows {
  int64_t begin, end;
};
__device__ __forceinline__ ShareRows share_rows(int64_t share, int64_t rows_of_share, int64_t rows) {
  return {share * rows_of_share, smaller(rows, (share + 1) * rows_of_share)};
}

/// Moments of many sets of numbers together, from those of each set (count, mean m_i, squared distances from the mean
/// q_i): with the distances d_i = m_i - pivot
///   mean = pivot + sum(n_i d_i) / n,   squares = sum(q_i + n_i d_i^2) - sum(n_i d_i)^2 / n,
/// which is the formula of Chan, Golub and LeVeque for more than two sets. The pivot is the mean of one of the sets:
/// what is subtracted at the end is small, unless that set is far out, and double can bear that.
template <class Real>
struct MomentSums {
  Real first = 0, second = 0;

  __device__ void add(Real count, Real distance, Real squares) {
    first += count * distance;
    second += squares + count * distance * distance;
  }
  /// In double: it may be far from zero beside the deviation.
  __device__ double mean(double pivot, Real count) const { return pivot + static_cast<double>(first / count); }
  __device__ Real squares(Real count) const {
    const Real s = second - first * first / count;
    return s < 0 ? Real{0} : s;  // so written, NaN stays NaN
  }
};

/// means and squares [shares, C]: mean and sum of squared distances from it, of the rows of each share.
///
/// A thread adds up the distances from its own first value, and their squares. That value is one of the numbers, so its
/// squared distance from their mean is at most n times their variance: whatever the mean is, no more than a factor n
/// (a hundred rows or so) of float's precision can cancel, and next to nothing does unless the first value is far out.
template <class T, int kN>
__global__ void __launch_bounds__(kWalkThreads, kWalkBlocks)
    moments_kernel(int64_t rows, int64_t rows_of_share, int64_t channels, int log2_across, const T* x, double* means,
                   double* squares) {
  PSANET_SHARED(double, thread_mean, [kWalkThreads * kN]);    // [rows of the block, its channels]
  PSANET_SHARED(float, thread_squares, [kWalkThreads * kN]);  // [rows of the block, its channels]
  const WalkPlace at = walk_place<kN>(log2_across);
  const auto [begin, end] = share_rows(blockIdx.y, rows_of_share, rows);
  const auto share = static_cast<int>(end - begin);  // rows
  const auto rows_of_thread = [&](int row) { return ((share - row - 1) >> (8 - log2_across)) + 1; };
  static_assert(kWalkThreads == 1 << 8);

  const int64_t first = begin + at.row;
  if (at.channel < channels && first < end) {
    float sum[kN] = {}, sum_of_squares[kN] = {};
    const T* column = x + at.channel;
    const Pack<T, kN> pivot = load<kN>(column + first * channels);
    walk_rows<4>(
        first, end, at.rows, [&](int64_t row) { return load<kN>(column + row * channels); },
        [&](int64_t, const Pack<T, kN>& values) {
          PSANET_UNROLL
          for (int i = 0; i < kN; ++i) {
            const float distance = as_float(values.v[i]) - as_float(pivot.v[i]);
            sum[i] += distance;
            sum_of_squares[i] += distance * distance;
          }
        });
    const auto count = static_cast<float>(rows_of_thread(at.row));
    PSANET_UNROLL
    for (int i = 0; i < kN; ++i) {
      const MomentSums<float> own{sum[i], sum_of_squares[i]};
      thread_mean[at.row * at.channels + at.column + i] = own.mean(as_float(pivot.v[i]), count);
      thread_squares[at.row * at.channels + at.column + i] = own.squares(count);
    }
  }
  __syncthreads();

  static_assert(kN << 5 <= kWalkThreads, "a thread for each channel of the block");
  const int c = static_cast<int>(threadIdx.x);
  const int64_t channel = static_cast<int64_t>(blockIdx.x) * at.channels + c;
  if (c >= at.channels || channel >= channels) return;
  const double pivot = thread_mean[c];
  MomentSums<double> total;
  for (int row = 0; row < at.rows && row < share; ++row) {
    const int i = row * at.channels + c;
    total.add(rows_of_thread(row), thread_mean[i] - pivot, thread_squares[i]);
  }
  const auto count = static_cast<double>(share);
  means[blockIdx.y * channels + channel] = total.mean(pivot, count);
  squares[blockIdx.y * channels + channel] = total.squares(count);
}

/// sums_g and sums_gx [shares, C]: sums over the rows of each share of g and of g * (x - mean).
template <class T, int kN, bool kRelu>
__global__ void __launch_bounds__(kWalkThreads, kWalkBlocks)
    gradient_sums_kernel(int64_t rows, int64_t rows_of_share, int64_t channels, int log2_across, const T* x, const T* y,
                         const float* mean, const T* d_y, double* sums_g, double* sums_gx) {
  PSANET_SHARED(float, thread_g, [kWalkThreads * kN]);   // [rows of the block, its channels]
  PSANET_SHARED(float, thread_gx, [kWalkThreads * kN]);  // [rows of the block, its channels]
  struct Row {
    Pack<T, kN> x, y, d_y;
  };
  const WalkPlace at = walk_place<kN>(log2_across);
  const auto [begin, end] = share_rows(blockIdx.y, rows_of_share, rows);

  float sum_g[kN] = {}, sum_gx[kN] = {};
  if (at.channel < channels) {
    const Floats<kN> m = load_floats<kN>(mean + at.channel);
    walk_rows<2>(
        begin + at.row, end, at.rows,
        [&](int64_t row) {
          const int64_t i = row * channels + at.channel;
          Row in;
          in.x = load<kN>(x + i);
          if constexpr (kRelu) in.y = load<kN>(y + i);
          in.d_y = load<kN>(d_y + i);
          return in;
        },
        [&](int64_t, const Row& in) {
          PSANET_UNROLL
          for (int i = 0; i < kN; ++i) {
            float g = as_float(in.d_y.v[i]);
            if constexpr (kRelu) g = as_float(in.y.v[i]) > 0.0f ? g : 0.0f;
            sum_g[i] += g;
            sum_gx[i] += g * (as_float(in.x.v[i]) - m.v[i]);
          }
        });
  }
  PSANET_UNROLL
  for (int i = 0; i < kN; ++i) {
    thread_g[at.row * at.channels + at.column + i] = sum_g[i];
    thread_gx[at.row * at.channels + at.column + i] = sum_gx[i];
  }
  __syncthreads();

  const int c = static_cast<int>(threadIdx.x);
  const int64_t channel = static_cast<int64_t>(blockIdx.x) * at.channels + c;
  if (c >= at.channels || channel >= channels) return;
  double total_g = 0, total_gx = 0;
  for (int row = 0; row < at.rows; ++row) {
    total_g += thread_g[row * at.channels + c];
    total_gx += thread_gx[row * at.channels + c];
  }
  sums_g[blockIdx.y * channels + channel] = total_g;
  sums_gx[blockIdx.y * channels + channel] = total_gx;
}

/// What the shares left of the statistics.
struct StatisticsShares {
  int64_t rows, rows_of_share, channels;
  const double *means, *squares;  // [shares, C]
  float *mean, *variance;         // [C]

  __device__ void add(int64_t share, int64_t c, double& first, double& second) const {
    const auto [begin, end] = share_rows(share, rows_of_share, rows);
    MomentSums<double> sums{first, second};
    sums.add(static_cast<double>(end - begin), means[share * channels + c] - means[c], squares[share * channels + c]);
    first = sums.first;
    second = sums.second;
  }
  __device__ void finish(int64_t c, double first, double second) const {
    const MomentSums<double> sums{first, second};
    const auto count = static_cast<double>(rows);
    mean[c] = static_cast<float>(sums.mean(means[c], count));
    variance[c] = static_cast<float>(sums.squares(count) / count);
  }
};

/// What the shares left of the gradients of bias and weight.
struct GradientShares {
  int64_t channels;
  float epsilon;
  const double *sums_g, *sums_gx;  // [shares, C]
  const float* variance;           // [C]
  float *d_weight, *d_bias;        // [C]

  __device__ void add(int64_t share, int64_t c, double& first, double& second) const {
    first += sums_g[share * channels + c];
    second += sums_gx[share * channels + c];
  }
  __device__ void finish(int64_t c, double first, double second) const {
    d_bias[c] = static_cast<float>(first);
    d_weight[c] = static_cast<float>(second) / sqrtf(variance[c] + epsilon);
  }
};

// There may be hundreds of shares of few channels: 32 threads for a channel, so that loads are under way side by side,
// and 8 channels (32 bytes) beside each other.
constexpr int kMergeAcross = 8, kMergeDown = 32;

template <class Shares>
__global__ void __launch_bounds__(kMergeAcross* kMergeDown)
    merge_shares_kernel(int64_t shares, int64_t channels, Shares of) {
  PSANET_SHARED(double, firsts, [kMergeDown][kMergeAcross]);
  PSANET_SHARED(double, seconds, [kMergeDown][kMergeAcross]);
  const int across = static_cast<int>(threadIdx.x) % kMergeAcross, down = static_cast<int>(threadIdx.x) / kMergeAcross;
  const int64_t c = static_cast<int64_t>(blockIdx.x) * kMergeAcross + across;
  double first = 0, second = 0;
  if (c < channels) {
    for (int64_t share = down; share < shares; share += kMergeDown) of.add(share, c, first, second);
  }
  firsts[down][across] = first;
  seconds[down][across] = second;
  __syncthreads();
  if (down > 0 || c >= channels) return;
  for (int d = 1; d < kMergeDown; ++d) {
    first += firsts[d][across];
    second += seconds[d][across];
  }
  of.finish(c, first, second);
}

template <class Shares>
void merge_shares(CudaContext& ctx, int64_t shares, int64_t channels, const Shares& of) {
  launch(ctx, merge_shares_kernel<Shares>, {{ceil_div(channels, kMergeAcross)}, kMergeAcross * kMergeDown}, shares,
         channels, of);
}

/// How a reduction over [rows, channels] is launched, and its two arrays [shares, C] in the scratch memory.
struct Reduction {
  ChannelWalk walk;
  ColumnShares shares;
  LaunchDims dims;
  double *first, *second;

  Reduction(CudaContext& ctx, int64_t rows, int64_t channels, int channels_of_thread)
      : walk(channel_walk(channels, channels_of_thread)),
        shares(column_shares(ctx, rows, channels, walk.channels_of_block)),
        dims{{ceil_div(channels, walk.channels_of_block), shares.shares}, kWalkThreads},
        first(scratch<double>(ctx, 2 * shares.shares * channels)),
        second(first + shares.shares * channels) {}
};

}  // namespace
}  // namespace cuda

template <class T>
void batch_norm_statistics(CudaContext& ctx, const BatchNormDims& dims, const T* x, float* mean, float* variance) {
  using namespace cuda;
  if (dims.channels == 0) return;
  const bool wide = dims.channels % kVector<T> == 0;
  const Reduction r(ctx, dims.rows, dims.channels, wide ? kVector<T> : 1);
  launch(ctx, wide ? moments_kernel<T, kVector<T>> : moments_kernel<T, 1>, r.dims, dims.rows, r.shares.rows_of_share,
         dims.channels, r.walk.log2_across, x, r.first, r.second);
  merge_shares(ctx, r.shares.shares, dims.channels,
               StatisticsShares{dims.rows, r.shares.rows_of_share, dims.channels, r.first, r.second, mean, variance});
}

template <class T>
void batch_norm_backward_reduce(CudaContext& ctx, const BatchNormDims& dims, const BatchNormEpilogue& epilogue,
                                const T* x, const T* y, const float* mean, const float* variance, const T* d_y,
                                float* d_weight, float* d_bias) {
  using namespace cuda;
  if (dims.channels == 0) return;
  constexpr int kN = kVector<T>;
  const bool wide = dims.channels % kN == 0;
  const Reduction r(ctx, dims.rows, dims.channels, wide ? kN : 1);
  const auto kernel = epilogue.relu ? (wide ? gradient_sums_kernel<T, kN, true> : gradient_sums_kernel<T, 1, true>)
                                    : (wide ? gradient_sums_kernel<T, kN, false> : gradient_sums_kernel<T, 1, false>);
  launch(ctx, kernel, r.dims, dims.rows, r.shares.rows_of_share, dims.channels, r.walk.log2_across, x, y, mean, d_y,
         r.first, r.second);
  merge_shares(ctx, r.shares.shares, dims.channels,
               GradientShares{dims.channels, dims.epsilon, r.first, r.second, variance, d_weight, d_bias});
}

#define PSANET_INSTANTIATE(T)                                                                                      \
  template void batch_norm_statistics(CudaContext&, const BatchNormDims&, const T*, float*, float*);               \
  template void batch_norm_backward_reduce(CudaContext&, const BatchNormDims&, const BatchNormEpilogue&, const T*, \
                                           const T*, const float*, const float*, const T*, float*, float*);
PSANET_INSTANTIATE(float)
PSANET_INSTANTIATE(bf16)
#undef PSANET_INSTANTIATE

}  // namespace psanet::kernels
