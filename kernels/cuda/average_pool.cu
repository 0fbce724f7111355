#include "kernels/cuda/device.h"
#include "kernels/cuda/map_loop.h"
#include "kernels/cuda/range.h"
#include "kernels/pool_axis.h"

namespace psanet::kernels {

namespace cuda {
namespace {

// Average and adaptive average pooling differ in their windows alone (Axis) and in what a sum is divided by. Windows
// of a few places are added up by one thread; large ones (a global mean is one of 59x59) by a whole block, or by
// several, whose sums a second kernel adds in order.

constexpr int kThreads = 256;
constexpr int kAcross = 8;  // threads beside each other: a quarter of a warp reads 128 contiguous bytes
constexpr int kDown = kThreads / kAcross;

/// What the sum over a window is divided by: `fixed` if that is not 0, otherwise its places inside the map.
struct Divisor {
  float fixed;
  __device__ float operator()(Range rows, Range columns) const {
    if (fixed > 0) return fixed;
    const int height = rows.end - rows.begin, width = columns.end - columns.begin;
    return height > 0 && width > 0 ? static_cast<float>(height * width) : 0.0f;
  }
};

template <class T>
__device__ __forceinline__ T mean(float sum, float size) {
  return rounded<T>(size > 0 ? sum / size : 0.0f);
}

/// y [N,OH,OW,C] from x [N,H,W,C], a thread for each window and pack.
template <class T, int kN, class Axis>
__global__ void small_windows_kernel(MapDims out, Axis rows, Axis columns, Divisor divisor, const T* x, T* y) {
  const int channels = out.packs * kN;
  for_each_pack(out, [&](int n, int oh, int ow, int pack) {
    const Range hs = rows.inside(oh), ws = columns.inside(ow);
    float sum[kN] = {};
    for (int h = hs.begin; h < hs.end; ++h) {
      const T* from = x + (static_cast<int64_t>(n * rows.in + h) * columns.in) * channels + pack * kN;
      for (int w = ws.begin; w < ws.end; ++w) {
        accumulate(sum, load<kN>(from + static_cast<int64_t>(w) * channels));
      }
    }
    const float size = divisor(hs, ws);
    Pack<T, kN> result;
    PSANET_UNROLL
    for (int i = 0; i < kN; ++i) result.v[i] = mean<T>(sum[i], size);
    store<kN>(y + (static_cast<int64_t>(n * rows.out + oh) * columns.out + ow) * channels + pack * kN, result);
  });
}

/// Grid (blocks of kAcross packs, windows, shares of a window's places). One share: y; several: partial
/// [shares, N*OH*OW, C].
template <class T, int kN, class Axis>
__global__ void __launch_bounds__(kThreads)
    large_windows_kernel(MapDims out, Axis rows, Axis columns, Divisor divisor, const T* x, T* y, float* partial) {
  PSANET_SHARED(float, sums, [kDown][kAcross * kN + 1]);
  const int channels = out.packs * kN, windows = out.batch * out.rows * out.columns;
  const int across = static_cast<int>(threadIdx.x) % kAcross, down = static_cast<int>(threadIdx.x) / kAcross;
  const int first_channel = static_cast<int>(blockIdx.x) * kAcross * kN, channel = first_channel + across * kN;
  const int shares = static_cast<int>(gridDim.z), share = static_cast<int>(blockIdx.z);
  for (int window = static_cast<int>(blockIdx.y); window < windows; window += static_cast<int>(gridDim.y)) {
    const int row = window / out.columns, n = row / out.rows;
    const Range hs = rows.inside(row - n * out.rows), ws = columns.inside(window - row * out.columns);
    const int width = ws.end > ws.begin ? ws.end - ws.begin : 0;
    const int places = hs.end > hs.begin ? (hs.end - hs.begin) * width : 0;
    const int of_share = rounded_up_quotient(places, shares), begin = share * of_share;
    const int end = begin + of_share < places ? begin + of_share : places;
    float own[kN] = {};
    if (channel < channels) {
      const T* image = x + static_cast<int64_t>(n) * rows.in * columns.in * channels + channel;
      for (int p = begin + down; p < end; p += kDown) {
        const int h = p / width, w = p - h * width;
        const int64_t place = (hs.begin + h) * columns.in + ws.begin + w;
        accumulate(own, load<kN>(image + place * channels));
      }
    }
    PSANET_UNROLL
    for (int i = 0; i < kN; ++i) sums[down][across * kN + i] = own[i];
    __syncthreads();
    const int c = static_cast<int>(threadIdx.x);
    if (c < kAcross * kN && first_channel + c < channels) {
      float total = 0;
      for (int d = 0; d < kDown; ++d) total += sums[d][c];
      const int64_t to = static_cast<int64_t>(window) * channels + first_channel + c;
      if (shares == 1) {
        y[to] = mean<T>(total, divisor(hs, ws));
      } else {
        partial[static_cast<int64_t>(share) * windows * channels + to] = total;
      }
    }
    __syncthreads();  // the next window writes where this one is read
  }
}

template <class T, class Axis>
__global__ void add_shares_kernel(MapDims out, Axis rows, Axis columns, Divisor divisor, int shares,
                                  const float* partial, T* y) {
  const int64_t all = static_cast<int64_t>(out.batch) * out.rows * out.columns * out.packs;
  for_each_pack(out, [&](int n, int oh, int ow, int c) {
    const int64_t at = (static_cast<int64_t>(n * out.rows + oh) * out.columns + ow) * out.packs + c;
    float total = 0;
    for (int s = 0; s < shares; ++s) total += partial[s * all + at];
    y[at] = mean<T>(total, divisor(rows.inside(oh), columns.inside(ow)));
  });
}

/// d_x [N,H,W,C]: every place gathers from the windows over it, in window order.
template <class T, int kN, class Axis>
__global__ void mean_backward_kernel(MapDims in, Axis rows, Axis columns, Divisor divisor, const T* d_y, T* d_x) {
  const int channels = in.packs * kN;
  for_each_pack(in, [&](int n, int h, int w, int pack) {
    const Range ohs = rows.windows_of(h), ows = columns.windows_of(w);
    float sum[kN] = {};
    for (int oh = ohs.begin; oh < ohs.end; ++oh) {
      const Range hs = rows.inside(oh);
      for (int ow = ows.begin; ow < ows.end; ++ow) {
        const float share = 1.0f / divisor(hs, columns.inside(ow));
        const int64_t at = (static_cast<int64_t>(n * rows.out + oh) * columns.out + ow) * channels + pack * kN;
        accumulate(sum, share, load<kN>(d_y + at));
      }
    }
    store_rounded(d_x + (static_cast<int64_t>(n * rows.in + h) * columns.in + w) * channels + pack * kN, sum);
  });
}

template <class T, int kN, class Axis>
void forward(CudaContext& ctx, int64_t batch, int64_t channels, const Axis& rows, const Axis& columns, Divisor divisor,
             const T* x, T* y) {
  constexpr int kLargeWindow = 2 * kDown;  // places: below that the threads of a block have nothing to do
  const int64_t places = int64_t{rows.largest_window()} * columns.largest_window();
  const MapDims out = map_dims(batch, rows.out, columns.out, channels / kN);
  if (places < kLargeWindow) {
    launch_over_map(ctx, small_windows_kernel<T, kN, Axis>, out, rows, columns, divisor, x, y);
    return;
  }
  // About four blocks for each multiprocessor, at least two places for each thread of a share.
  const int64_t across = ceil_div(out.packs, kAcross), windows = batch * rows.out * columns.out;
  const int64_t wanted = ceil_div(int64_t{4} * ctx.runtime->multiprocessors, across * windows);
  const int64_t shares = std::clamp<int64_t>(wanted, 1, std::min<int64_t>(64, places / kLargeWindow));
  float* partial = shares > 1 ? scratch<float>(ctx, shares * windows * channels) : nullptr;
  const Grid grid{across, std::min<int64_t>(windows, 65535), shares};
  launch(ctx, large_windows_kernel<T, kN, Axis>, {grid, kThreads}, out, rows, columns, divisor, x, y, partial);
  if (shares == 1) return;
  const MapDims singles = map_dims(batch, rows.out, columns.out, channels);
  launch_over_map(ctx, add_shares_kernel<T, Axis>, singles, rows, columns, divisor, shares, partial, y);
}

template <class T, class Dims>
void mean_forward(CudaContext& ctx, const Dims& d, Divisor divisor, const T* x, T* y) {
  const auto rows = vertical<Range>(d), columns = horizontal<Range>(d);
  if (d.batch * rows.out * columns.out * d.channels == 0) return;
  with_packs<kVector<T>>(in_packs_of(kVector<T>, d.channels, x, y),
                         [&](auto n) { forward<T, n()>(ctx, d.batch, d.channels, rows, columns, divisor, x, y); });
}

template <class T, class Dims>
void mean_backward(CudaContext& ctx, const Dims& d, Divisor divisor, const T* d_y, T* d_x) {
  const auto rows = vertical<Range>(d), columns = horizontal<Range>(d);
  with_packs<kVector<T>>(in_packs_of(kVector<T>, d.channels, d_y, d_x), [&](auto n) {
    launch_over_map(ctx, mean_backward_kernel<T, n(), std::remove_const_t<decltype(rows)>>,
                    map_dims(d.batch, rows.in, columns.in, d.channels / n()), rows, columns, divisor, d_y, d_x);
  });
}

Divisor divisor_of(const PoolDims& d, bool count_padding) {
  return {count_padding ? static_cast<float>(d.kernel_h * d.kernel_w) : 0.0f};
}

}  // namespace
}  // namespace cuda

template <class T>
void average_pool_forward(CudaContext& ctx, const PoolDims& dims, bool count_padding, const T* x, T* y) {
  cuda::mean_forward(ctx, dims, cuda::divisor_of(dims, count_padding), x, y);
}
template <class T>
void average_pool_backward(CudaContext& ctx, const PoolDims& dims, bool count_padding, const T* d_y, T* d_x) {
  cuda::mean_backward(ctx, dims, cuda::divisor_of(dims, count_padding), d_y, d_x);
}
template <class T>
void adaptive_average_pool_forward(CudaContext& ctx, const AdaptivePoolDims& dims, const T* x, T* y) {
  cuda::mean_forward(ctx, dims, cuda::Divisor{0}, x, y);
}
template <class T>
void adaptive_average_pool_backward(CudaContext& ctx, const AdaptivePoolDims& dims, const T* d_y, T* d_x) {
  cuda::mean_backward(ctx, dims, cuda::Divisor{0}, d_y, d_x);
}

#define PSANET_INSTANTIATE(T)                                                                       \
  template void average_pool_forward(CudaContext&, const PoolDims&, bool, const T*, T*);            \
  template void average_pool_backward(CudaContext&, const PoolDims&, bool, const T*, T*);           \
  template void adaptive_average_pool_forward(CudaContext&, const AdaptivePoolDims&, const T*, T*); \
  template void adaptive_average_pool_backward(CudaContext&, const AdaptivePoolDims&, const T*, T*);
PSANET_INSTANTIATE(float)
PSANET_INSTANTIATE(bf16)
#undef PSANET_INSTANTIATE

}  // namespace psanet::kernels
