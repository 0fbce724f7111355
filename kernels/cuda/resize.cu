#include "kernels/cuda/device.h"
#include "kernels/cuda/map_loop.h"
#include "kernels/cuda/resize_axis.h"
#include "kernels/cuda/resize_gradient.h"
#include "kernels/resize.h"

namespace psanet::kernels {

namespace cuda {
namespace {

/// y [N,OH,OW,C] from x [N,H,W,C]: four loads for each pack, which neighbours find in the caches.
template <class T, int kN>
__global__ void resize_forward_kernel(MapDims out, ResizeAxis rows, ResizeAxis columns, const T* x, T* y) {
  const int channels = out.packs * kN;
  for_each_pack(out, [&](int n, int oh, int ow, int pack) {
    const Tap v = rows[oh], h = columns[ow];
    const T* image = x + static_cast<int64_t>(n) * rows.in * columns.in * channels + pack * kN;
    const auto at = [&](int row, int column) {
      return load<kN>(image + (static_cast<int64_t>(row) * columns.in + column) * channels);
    };
    // A place of weight 0 is not fetched: where sizes divide (59 -> 30) that is three of four.
    const int below_row = v.weight_high == 0 ? v.low : v.high, right = h.weight_high == 0 ? h.low : h.high;
    const Pack<T, kN> a = at(v.low, h.low), b = at(v.low, right), c = at(below_row, h.low), d = at(below_row, right);
    Pack<T, kN> result;
    PSANET_UNROLL
    for (int i = 0; i < kN; ++i) {
      const float above = h.weight_low * as_float(a.v[i]) + h.weight_high * as_float(b.v[i]);
      const float below = h.weight_low * as_float(c.v[i]) + h.weight_high * as_float(d.v[i]);
      result.v[i] = rounded<T>(v.weight_low * above + v.weight_high * below);
    }
    store<kN>(y + (static_cast<int64_t>(n * rows.out + oh) * columns.out + ow) * channels + pack * kN, result);
  });
}

/// d_x [N,H,W,C]: every place gathers from the outputs that read it, in output order.
template <class From, class To, int kN>
__global__ void resize_backward_kernel(MapDims in, ResizeAxis rows, ResizeAxis columns, const From* d_y, To* d_x) {
  const int channels = in.packs * kN;
  for_each_pack(in, [&](int n, int h, int w, int pack) {
    const Range row_readers = rows.readers(h), column_readers = columns.readers(w);
    float sum[kN] = {};
    for (int oh = row_readers.begin; oh < row_readers.end; ++oh) {
      const float weight_h = rows[oh].weight_at(h);
      if (weight_h == 0.0f) continue;  // whole rows, when sizes divide (59 -> 30)
      const From* from = d_y + static_cast<int64_t>(n * rows.out + oh) * columns.out * channels + pack * kN;
      for (int ow = column_readers.begin; ow < column_readers.end; ++ow) {
        const float weight = weight_h * columns[ow].weight_at(w);
        if (weight == 0.0f) continue;
        accumulate(sum, weight, load<kN>(from + static_cast<int64_t>(ow) * channels));
      }
    }
    store_rounded(d_x + (static_cast<int64_t>(n * rows.in + h) * columns.in + w) * channels + pack * kN, sum);
  });
}

}  // namespace

template <class From, class To>
void resize_gradient(CudaContext& ctx, const ResizeDims& d, const From* d_y, To* d_x) {
  constexpr int kN = std::min(kVector<From>, kVector<To>);
  with_packs<kN>(in_packs_of(kN, d.channels, d_y, d_x), [&](auto n) {
    launch_over_map(ctx, resize_backward_kernel<From, To, n()>, map_dims(d.batch, d.in_h, d.in_w, d.channels / n()),
                    rows_of(d), columns_of(d), d_y, d_x);
  });
}
template void resize_gradient(CudaContext&, const ResizeDims&, const float*, float*);
template void resize_gradient(CudaContext&, const ResizeDims&, const float*, bf16*);
template void resize_gradient(CudaContext&, const ResizeDims&, const bf16*, bf16*);

}  // namespace cuda

template <class T>
void resize_forward(CudaContext& ctx, const ResizeDims& d, const T* x, T* y) {
  using namespace cuda;
  with_packs<kVector<T>>(in_packs_of(kVector<T>, d.channels, x, y), [&](auto n) {
    launch_over_map(ctx, resize_forward_kernel<T, n()>, map_dims(d.batch, d.out_h, d.out_w, d.channels / n()),
                    rows_of(d), columns_of(d), x, y);
  });
}
template <class T>
void resize_backward(CudaContext& ctx, const ResizeDims& dims, const T* d_y, T* d_x) {
  cuda::resize_gradient(ctx, dims, d_y, d_x);
}

#define PSANET_INSTANTIATE(T)                                                  \
  template void resize_forward(CudaContext&, const ResizeDims&, const T*, T*); \
  template void resize_backward(CudaContext&, const ResizeDims&, const T*, T*);
PSANET_INSTANTIATE(float)
PSANET_INSTANTIATE(bf16)
#undef PSANET_INSTANTIATE

}  // namespace psanet::kernels
