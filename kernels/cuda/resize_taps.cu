#include "kernels/cuda/device.h"
#include "kernels/cuda/map_loop.h"
#include "kernels/cuda/resize_axis.h"
#include "kernels/resize_taps.h"

namespace psanet::kernels {

namespace cuda {
namespace {

struct Window {
  int kernel_h, kernel_w, dilation_h, dilation_w;
};
Window window_of(const ResizeTapsDims& d) {
  return {static_cast<int>(d.kernel_h), static_cast<int>(d.kernel_w), static_cast<int>(d.dilation_h),
          static_cast<int>(d.dilation_w)};
}

/// A thread for a pack of channels of a place of the result.
template <class T, int kN>
__global__ void resize_taps_kernel(MapDims out, ResizeAxis rows, ResizeAxis columns, Window window, const T* x,
                                   const T* base, T* y) {
  const int channels = out.packs * kN;
  for_each_pack(out, [&](int n, int oh, int ow, int pack) {
    const int64_t place = static_cast<int64_t>(window.kernel_h) * window.kernel_w * channels;
    const T* image = x + static_cast<int64_t>(n) * rows.in * columns.in * place + pack * kN;
    const int64_t at = (static_cast<int64_t>(n * rows.out + oh) * columns.out + ow) * channels + pack * kN;
    float sum[kN] = {};
    if (base != nullptr) {
      const Pack<T, kN> begin = load<kN>(base + at);
      PSANET_UNROLL
      for (int i = 0; i < kN; ++i) sum[i] = as_float(begin.v[i]);  // not added to 0, which would lose the sign of -0
    }
    for (int kh = 0; kh < window.kernel_h; ++kh) {
      const int row = oh + (kh - window.kernel_h / 2) * window.dilation_h;
      if (row < 0 || row >= rows.out) continue;
      const Tap v = rows[row];
      for (int kw = 0; kw < window.kernel_w; ++kw) {
        const int column = ow + (kw - window.kernel_w / 2) * window.dilation_w;
        if (column < 0 || column >= columns.out) continue;
        const Tap h = columns[column];
        const T* tap = image + static_cast<int64_t>(kh * window.kernel_w + kw) * channels;
        const auto add = [&](int from_row, int from_column, float weight) {
          if (weight == 0.0f) return;  // where sizes divide (30 -> 59) that is half of each axis
          accumulate(sum, weight, load<kN>(tap + (static_cast<int64_t>(from_row) * columns.in + from_column) * place));
        };
        add(v.low, h.low, v.weight_low * h.weight_low);
        add(v.low, h.high, v.weight_low * h.weight_high);
        add(v.high, h.low, v.weight_high * h.weight_low);
        add(v.high, h.high, v.weight_high * h.weight_high);
      }
    }
    store_rounded(y + at, sum);
  });
}

/// A thread for a pack of channels of one tap of a place of the source: `in` counts taps * packs as its packs.
template <class T, int kN>
__global__ void resize_taps_backward_kernel(MapDims in, ResizeAxis rows, ResizeAxis columns, Window window,
                                            const T* d_y, T* d_x) {
  const int packs = in.packs / (window.kernel_h * window.kernel_w), channels = packs * kN;
  for_each_pack(in, [&](int n, int h, int w, int tap_and_pack) {
    const int tap = tap_and_pack / packs, pack = tap_and_pack - tap * packs;
    const int down = (tap / window.kernel_w - window.kernel_h / 2) * window.dilation_h;
    const int right = (tap % window.kernel_w - window.kernel_w / 2) * window.dilation_w;
    const T* image = d_y + static_cast<int64_t>(n) * rows.out * columns.out * channels + pack * kN;
    const Range row_readers = rows.readers(h), column_readers = columns.readers(w);
    float sum[kN] = {};
    for (int row = row_readers.begin; row < row_readers.end; ++row) {
      const float weight_h = rows[row].weight_at(h);
      if (weight_h == 0.0f || row - down < 0 || row - down >= rows.out) continue;
      for (int column = column_readers.begin; column < column_readers.end; ++column) {
        const float weight = weight_h * columns[column].weight_at(w);
        if (weight == 0.0f || column - right < 0 || column - right >= columns.out) continue;
        accumulate(sum, weight,
                   load<kN>(image + (static_cast<int64_t>(row - down) * columns.out + column - right) * channels));
      }
    }
    store_rounded(d_x + ((static_cast<int64_t>(n * rows.in + h) * columns.in + w) * in.packs + tap_and_pack) * kN, sum);
  });
}

}  // namespace
}  // namespace cuda

template <class T>
void resize_taps(CudaContext& ctx, const ResizeTapsDims& dims, const T* x, const T* base, T* y) {
  using namespace cuda;
  const ResizeDims& r = dims.resize;
  with_packs<kVector<T>>(in_packs_of(kVector<T>, r.channels, x, base, y), [&](auto n) {
    launch_over_map(ctx, resize_taps_kernel<T, n()>, map_dims(r.batch, r.out_h, r.out_w, r.channels / n()), rows_of(r),
                    columns_of(r), window_of(dims), x, base, y);
  });
}

template <class T>
void resize_taps_backward(CudaContext& ctx, const ResizeTapsDims& dims, const T* d_y, T* d_x) {
  using namespace cuda;
  const ResizeDims& r = dims.resize;
  with_packs<kVector<T>>(in_packs_of(kVector<T>, r.channels, d_y, d_x), [&](auto n) {
    const MapDims in = map_dims(r.batch, r.in_h, r.in_w, dims.taps() * r.channels / n());
    launch_over_map(ctx, resize_taps_backward_kernel<T, n()>, in, rows_of(r), columns_of(r), window_of(dims), d_y, d_x);
  });
}

#define PSANET_INSTANTIATE(T)                                                             \
  template void resize_taps(CudaContext&, const ResizeTapsDims&, const T*, const T*, T*); \
  template void resize_taps_backward(CudaContext&, const ResizeTapsDims&, const T*, T*);
PSANET_INSTANTIATE(float)
PSANET_INSTANTIATE(bf16)
#undef PSANET_INSTANTIATE

}  // namespace psanet::kernels
