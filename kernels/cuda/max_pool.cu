#include "kernels/cuda/device.h"
#include "kernels/cuda/map_loop.h"
#include "kernels/cuda/range.h"
#include "kernels/pool_axis.h"

namespace psanet::kernels {

namespace cuda {
namespace {

/// Winner of a window that lies in the padding altogether.
constexpr int kNoWinner = 255;

/// y, winner [N,OH,OW,C] from x [N,H,W,C]; winner may be null.
template <class T, int kN>
__global__ void max_pool_forward_kernel(MapDims out, PoolAxis<Range> rows, PoolAxis<Range> columns, const T* x, T* y,
                                        uint8_t* winner) {
  const int channels = out.packs * kN;
  for_each_pack(out, [&](int n, int oh, int ow, int pack) {
    const Range hs = rows.inside(oh), ws = columns.inside(ow);
    const bool empty = hs.begin >= hs.end || ws.begin >= ws.end;
    const int first_place = (hs.begin - rows.start(oh)) * columns.kernel + ws.begin - columns.start(ow);
    float best[kN];
    int place[kN];
    PSANET_UNROLL
    for (int i = 0; i < kN; ++i) {
      best[i] = -INFINITY;
      place[i] = empty ? kNoWinner : first_place;
    }
    for (int h = hs.begin; h < hs.end; ++h) {
      const T* from = x + (static_cast<int64_t>(n * rows.in + h) * columns.in) * channels + pack * kN;
      const int row_place = (h - rows.start(oh)) * columns.kernel - columns.start(ow);
      for (int w = ws.begin; w < ws.end; ++w) {
        const Pack<T, kN> values = load<kN>(from + static_cast<int64_t>(w) * channels);
        PSANET_UNROLL
        for (int i = 0; i < kN; ++i) {
          const float v = as_float(values.v[i]);
          // The first of equals stays. A NaN wins, and stays unless another NaN follows: nothing is larger.
          const bool better = v > best[i] || v != v;
          best[i] = better ? v : best[i];
          place[i] = better ? row_place + w : place[i];
        }
      }
    }
    const int64_t to = (static_cast<int64_t>(n * rows.out + oh) * columns.out + ow) * channels + pack * kN;
    Pack<T, kN> largest;
    Pack<uint8_t, kN> places;
    PSANET_UNROLL
    for (int i = 0; i < kN; ++i) {
      largest.v[i] = rounded<T>(best[i]);
      places.v[i] = static_cast<uint8_t>(place[i]);
    }
    store<kN>(y + to, largest);
    if (winner != nullptr) store<kN>(winner + to, places);
  });
}

/// d_x [N,H,W,C]: every place gathers from the windows over it, in window order.
template <class T, int kN>
__global__ void max_pool_backward_kernel(MapDims in, PoolAxis<Range> rows, PoolAxis<Range> columns,
                                         const uint8_t* winner, const T* d_y, T* d_x) {
  const int channels = in.packs * kN;
  for_each_pack(in, [&](int n, int h, int w, int pack) {
    const Range ohs = rows.windows_of(h), ows = columns.windows_of(w);
    float sum[kN] = {};
    for (int oh = ohs.begin; oh < ohs.end; ++oh) {
      for (int ow = ows.begin; ow < ows.end; ++ow) {
        const int place = (h - rows.start(oh)) * columns.kernel + w - columns.start(ow);
        const int64_t at = (static_cast<int64_t>(n * rows.out + oh) * columns.out + ow) * channels + pack * kN;
        const Pack<uint8_t, kN> winners = load<kN>(winner + at);
        const Pack<T, kN> gradient = load<kN>(d_y + at);
        PSANET_UNROLL
        for (int i = 0; i < kN; ++i) sum[i] += winners.v[i] == place ? as_float(gradient.v[i]) : 0.0f;
      }
    }
    Pack<T, kN> result;
    PSANET_UNROLL
    for (int i = 0; i < kN; ++i) result.v[i] = rounded<T>(sum[i]);
    store<kN>(d_x + (static_cast<int64_t>(n * rows.in + h) * columns.in + w) * channels + pack * kN, result);
  });
}

}  // namespace
}  // namespace cuda

template <class T>
void max_pool_forward(CudaContext& ctx, const PoolDims& d, const T* x, T* y, uint8_t* winner) {
  using namespace cuda;
  with_packs<kVector<T>>(in_packs_of(kVector<T>, d.channels, x, y, winner), [&](auto n) {
    launch_over_map(ctx, max_pool_forward_kernel<T, n()>, map_dims(d.batch, d.out_h(), d.out_w(), d.channels / n()),
                    vertical<Range>(d), horizontal<Range>(d), x, y, winner);
  });
}

template <class T>
void max_pool_backward(CudaContext& ctx, const PoolDims& d, const uint8_t* winner, const T* d_y, T* d_x) {
  using namespace cuda;
  with_packs<kVector<T>>(in_packs_of(kVector<T>, d.channels, winner, d_y, d_x), [&](auto n) {
    launch_over_map(ctx, max_pool_backward_kernel<T, n()>, map_dims(d.batch, d.in_h, d.in_w, d.channels / n()),
                    vertical<Range>(d), horizontal<Range>(d), winner, d_y, d_x);
  });
}

#define PSANET_INSTANTIATE(T)                                                            \
  template void max_pool_forward(CudaContext&, const PoolDims&, const T*, T*, uint8_t*); \
  template void max_pool_backward(CudaContext&, const PoolDims&, const uint8_t*, const T*, T*);
PSANET_INSTANTIATE(float)
PSANET_INSTANTIATE(bf16)
#undef PSANET_INSTANTIATE

}  // namespace psanet::kernels
