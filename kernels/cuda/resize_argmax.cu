#include "kernels/cuda/device.h"
#include "kernels/cuda/resize_axis.h"
#include "kernels/cuda/runtime.h"

namespace psanet::kernels {

namespace cuda {
namespace {

// Enlarging, a tile of output pixels reads few places: they go to shared memory, and each thread walks through the
// classes of its pixel. The lanes of a warp then mostly read the same address, and four classes cost four loads.
// Where a tile reads too much for that (shrinking, equal sizes), a warp takes a pixel, and its lanes share the classes.

constexpr int kThreads = 256;
constexpr int kTileWidth = kWarp, kTileHeight = kThreads / kWarp;

/// The larger value, the first of equals.
struct Best {
  float value;
  int label;

  __device__ void see(float other, int other_label) {
    const bool better = other > value || (other == value && other_label < label);
    value = better ? other : value;
    label = better ? other_label : label;
  }
};

/// Grid (tiles across, tiles down, images); shared [places of the tile][padded], padded a multiple of 4.
template <class T>
__global__ void __launch_bounds__(kThreads, 4)
    argmax_of_tile_kernel(int batch, ResizeAxis rows, ResizeAxis columns, int channels, int padded, const T* x,
                          uint8_t* labels) {
  PSANET_DYNAMIC_SHARED(float, places);
  const int first_oh = static_cast<int>(blockIdx.y) * kTileHeight, first_ow = static_cast<int>(blockIdx.x) * kTileWidth;
  const int last_oh = first_oh + kTileHeight < rows.out ? first_oh + kTileHeight - 1 : rows.out - 1;
  const int last_ow = first_ow + kTileWidth < columns.out ? first_ow + kTileWidth - 1 : columns.out - 1;
  const int top = rows[first_oh].low, left = columns[first_ow].low;
  const int height = rows[last_oh].high - top + 1, width = columns[last_ow].high - left + 1;

  const int warp = static_cast<int>(threadIdx.x) / kWarp, lane = static_cast<int>(threadIdx.x) % kWarp;
  const int oh = first_oh + warp, ow = first_ow + lane;
  const bool inside = oh <= last_oh && ow <= last_ow;
  const Tap v = rows[inside ? oh : last_oh], h = columns[inside ? ow : last_ow];
  const float* above = places + (v.low - top) * width * padded;
  const float* below = places + (v.high - top) * width * padded;
  const float *a = above + (h.low - left) * padded, *b = above + (h.high - left) * padded;
  const float *c = below + (h.low - left) * padded, *d = below + (h.high - left) * padded;

  for (int n = static_cast<int>(blockIdx.z); n < batch; n += static_cast<int>(gridDim.z)) {
    const T* image = x + static_cast<int64_t>(n) * rows.in * columns.in * channels;
    for (int place = warp; place < height * width; place += kThreads / kWarp) {
      const int row = place / width, column = place - row * width;
      const T* from = image + (static_cast<int64_t>(top + row) * columns.in + left + column) * channels;
      // Minus infinity is never larger than anything.
      for (int k = lane; k < padded; k += kWarp)
        places[place * padded + k] = k < channels ? as_float(from[k]) : -INFINITY;
    }
    __syncthreads();
    Best best{-INFINITY, 0};
    for (int k = 0; k < padded; k += 4) {
      const Pack<float, 4> from_a = load<4>(a + k), from_b = load<4>(b + k), from_c = load<4>(c + k),
                           from_d = load<4>(d + k);
      PSANET_UNROLL
      for (int i = 0; i < 4; ++i) {
        const float on_left = v.weight_low * from_a.v[i] + v.weight_high * from_c.v[i];
        const float on_right = v.weight_low * from_b.v[i] + v.weight_high * from_d.v[i];
        const float value = h.weight_low * on_left + h.weight_high * on_right;
        best.label = value > best.value ? k + i : best.label;
        best.value = value > best.value ? value : best.value;
      }
    }
    if (inside) labels[(static_cast<int64_t>(n) * rows.out + oh) * columns.out + ow] = static_cast<uint8_t>(best.label);
    __syncthreads();  // the next image is read to where this one is
  }
}

/// A warp for each output pixel.
template <class T>
__global__ void __launch_bounds__(kThreads) argmax_of_pixel_kernel(int64_t pixels, ResizeAxis rows, ResizeAxis columns,
                                                                   int channels, const T* x, uint8_t* labels) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int64_t step = static_cast<int64_t>(gridDim.x) * (kThreads / kWarp);
  int64_t pixel = static_cast<int64_t>(blockIdx.x) * (kThreads / kWarp) + threadIdx.x / kWarp;
  for (; pixel < pixels; pixel += step) {
    const int64_t row = pixel / columns.out, n = row / rows.out;
    const Tap v = rows[static_cast<int>(row - n * rows.out)], h = columns[static_cast<int>(pixel - row * columns.out)];
    const T* image = x + n * rows.in * columns.in * channels;
    const auto at = [&](int r, int c) { return image + (static_cast<int64_t>(r) * columns.in + c) * channels; };
    const T *a = at(v.low, h.low), *b = at(v.low, h.high), *c = at(v.high, h.low), *d = at(v.high, h.high);
    Best best{-INFINITY, lane};
    for (int k = lane; k < channels; k += kWarp) {
      const float on_left = v.weight_low * as_float(a[k]) + v.weight_high * as_float(c[k]);
      const float on_right = v.weight_low * as_float(b[k]) + v.weight_high * as_float(d[k]);
      best.see(h.weight_low * on_left + h.weight_high * on_right, k);
    }
    for (int by = kWarp / 2; by > 0; by /= 2) {
      const float value = __shfl_xor_sync(kAllLanes, best.value, by);
      const int label = __shfl_xor_sync(kAllLanes, best.label, by);
      best.see(value, label);
    }
    if (lane == 0) labels[pixel] = static_cast<uint8_t>(best.label);
  }
}

/// Most places along an axis that `outputs` neighbouring outputs read.
int64_t places_read(const ResizeAxis& axis, int outputs) {
  return std::min<int64_t>(axis.in, static_cast<int64_t>(axis.scale * static_cast<float>(outputs - 1)) + 4);
}

}  // namespace
}  // namespace cuda

template <class T>
void resize_argmax(CudaContext& ctx, const ResizeDims& dims, const T* x, uint8_t* labels) {
  using namespace cuda;
  const int64_t pixels = dims.batch * dims.out_h * dims.out_w;
  if (pixels == 0) return;
  const ResizeAxis rows = rows_of(dims), columns = columns_of(dims);
  const int64_t padded = ceil_div(dims.channels, 4) * 4;
  const int64_t shared_bytes =
      places_read(rows, kTileHeight) * places_read(columns, kTileWidth) * padded * static_cast<int64_t>(sizeof(float));
  constexpr int64_t kMostShared = 48 << 10;  // four blocks on a multiprocessor
  if (shared_bytes <= kMostShared && ceil_div(rows.out, kTileHeight) <= 65535) {
    const Grid grid{ceil_div(columns.out, kTileWidth), ceil_div(rows.out, kTileHeight),
                    std::min<int64_t>(dims.batch, 65535)};
    launch(ctx, argmax_of_tile_kernel<T>, {grid, kThreads, shared_bytes}, dims.batch, rows, columns, dims.channels,
           padded, x, labels);
  } else {
    launch(ctx, argmax_of_pixel_kernel<T>, loop_over(ctx, pixels * kWarp, kThreads), pixels, rows, columns,
           dims.channels, x, labels);
  }
}

template void resize_argmax(CudaContext&, const ResizeDims&, const float*, uint8_t*);
template void resize_argmax(CudaContext&, const ResizeDims&, const bf16*, uint8_t*);

}  // namespace psanet::kernels
