// The loss head: bilinear resize, softmax cross entropy and its gradient, without full-resolution logits.
#include <stdexcept>

#include "kernels/cuda/device.h"
#include "kernels/cuda/map_loop.h"
#include "kernels/cuda/resize_axis.h"
#include "kernels/cuda/resize_gradient.h"
#include "kernels/loss.h"

namespace psanet::kernels {

namespace cuda {
namespace {

// Full-resolution logits exist for one pixel at a time, in the registers of a warp: a lane has every 32nd class.
//
// Enlarging by more than 2x2 (59 -> 465), a warp takes a cell: the pixels between four neighbouring low-resolution
// places, its corners. It keeps the logits of the corners in shared memory and their gradients in registers, walks over
// the pixels, and writes the four gradients to the workspace; a second kernel adds up for each place the contributions
// of the four cells around it, in a fixed order. Otherwise a warp takes a pixel; its gradient goes to the workspace,
// and the gradient of the resize does the rest (of equal sizes: straight to d_logits).
//
// Logits are in units of log 2, so that the exponential is one instruction; one for each logit of a pixel.

constexpr int kThreads = 128;  // warps use many registers: small blocks leave fewer of them over
constexpr int kWarps = kThreads / kWarp;
constexpr int kSumThreads = 1024;  // one block adds up the sums of all blocks
constexpr float kLog2e = 1.4426950408889634f, kLn2 = 0.6931471805599453f;

struct Sums {
  double loss, valid;
};

/// What the blocks of a kernel have added up, in scratch memory.
struct BlockSums {
  Sums* sums;
  int64_t blocks;
};

/// sums[block] = sum over the block's warps, in order. `loss` is summed over lanes; `valid` is that of any lane.
__device__ __forceinline__ void store_block_sums(double loss, int valid, Sums* sums) {
  PSANET_SHARED(Sums, of_warp, [kWarps]);
  for (int by = kWarp / 2; by > 0; by /= 2) loss += __shfl_xor_sync(kAllLanes, loss, by);
  if (threadIdx.x % kWarp == 0) of_warp[threadIdx.x / kWarp] = {loss, static_cast<double>(valid)};
  __syncthreads();
  if (threadIdx.x > 0) return;
  Sums total{0, 0};
  for (int w = 0; w < kWarps; ++w) {
    total.loss += of_warp[w].loss;
    total.valid += of_warp[w].valid;
  }
  sums[blockIdx.x] = total;
}

/// One block: loss_sum and valid from sums [count].
__global__ void __launch_bounds__(kSumThreads)
    add_sums_kernel(int64_t count, const Sums* sums, float* loss_sum, float* valid) {
  PSANET_SHARED(Sums, of_thread, [kSumThreads]);
  const int t = static_cast<int>(threadIdx.x);
  Sums own{0, 0};
  for (int64_t i = t; i < count; i += kSumThreads) {
    own.loss += sums[i].loss;
    own.valid += sums[i].valid;
  }
  of_thread[t] = own;
  for (int half = kSumThreads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (t >= half) continue;
    of_thread[t].loss += of_thread[t + half].loss;
    of_thread[t].valid += of_thread[t + half].valid;
  }
  if (t > 0) return;
  *loss_sum = static_cast<float>(of_thread[0].loss);
  *valid = static_cast<float>(of_thread[0].valid);
}

/// A tap that reads one place twice reads it once.
__device__ __forceinline__ Tap without_twins(Tap tap) {
  if (tap.low == tap.high) {
    tap.weight_low = 1;
    tap.weight_high = 0;
  }
  return tap;
}

/// A warp for each cell: contributions [cells, 4 corners, padded] (null: no gradient), sums [blocks]. Cells are
/// numbered as the places [N,H,W] that are their upper left corners; corners are upper left, upper right, lower left,
/// lower right. Shared: [kWarps][2][4][kClasses * kWarp], logits of the corners and weights of the labels.
template <class T, int kClasses>  // of a lane
__global__ void __launch_bounds__(kThreads)
    cells_kernel(int64_t cells, ResizeAxis rows, ResizeAxis columns, int channels, int padded, int ignore,
                 const T* logits, const uint8_t* label, float* contributions, Sums* sums) {
  PSANET_DYNAMIC_SHARED(float, shared);
  constexpr int kStride = kClasses * kWarp;
  const int warp = static_cast<int>(threadIdx.x) / kWarp, lane = static_cast<int>(threadIdx.x) % kWarp;
  const int64_t cell = static_cast<int64_t>(blockIdx.x) * kWarps + warp;
  double loss = 0;
  int valid = 0;
  if (cell < cells) {
    const int row = static_cast<int>(cell / columns.in), n = row / rows.in;
    const int top = row - n * rows.in, left = static_cast<int>(cell - static_cast<int64_t>(row) * columns.in);
    const int bottom = top + 1 < rows.in ? top + 1 : top, right = left + 1 < columns.in ? left + 1 : left;

    // Logits relative to the largest of their corner, which is a bound: no interpolated one is above 0.
    float* corners = shared + warp * 8 * kStride;
    PSANET_UNROLL
    for (int q = 0; q < 4; ++q) {
      const int r = q < 2 ? top : bottom, column = q % 2 == 0 ? left : right;
      const T* from = logits + (static_cast<int64_t>(n * rows.in + r) * columns.in + column) * channels;
      float own[kClasses], largest = -INFINITY;
      PSANET_UNROLL
      for (int k = 0; k < kClasses; ++k) {
        const int c = lane + k * kWarp;
        own[k] = c < channels ? as_float(from[c]) * kLog2e : -INFINITY;
        largest = own[k] > largest ? own[k] : largest;
      }
      largest = warp_max(largest);
      PSANET_UNROLL
      for (int k = 0; k < kClasses; ++k) {
        const int c = lane + k * kWarp;
        corners[q * kStride + c] = c < channels ? own[k] - largest : -1e30f;
      }
    }
    // What belongs to the label of a pixel is looked up and added up by the first four lanes, one for each corner:
    // label_weights is, for each class, the sum of the corner's weights over the pixels that bear it.
    float* label_weights = corners + 4 * kStride;
    const int my_corner = lane % 4;
    for (int i = lane; i < 4 * kStride; i += kWarp) label_weights[i] = 0;
    __syncwarp();
    float d_corner[4][kClasses] = {};

    // Runs: up to 32 neighbouring pixels of a row of the cell. Each lane reads the label of one, a run ahead.
    const Range ohs = rows.cell(top), ows = columns.cell(left);
    const int runs_of_row = (ows.end - ows.begin + kWarp - 1) / kWarp;
    const int runs = (ohs.end - ohs.begin) * runs_of_row;
    const auto label_in = [&](int run) {
      if (run >= runs) return channels;
      const int down = run / runs_of_row, column = ows.begin + (run - down * runs_of_row) * kWarp + lane;
      const int64_t at = static_cast<int64_t>(n * rows.out + ohs.begin + down) * columns.out;
      return column < ows.end ? static_cast<int>(label[at + column]) : channels;
    };
    int next_label = label_in(0);
    for (int run = 0; run < runs; ++run) {
      const int my_label = next_label;
      next_label = label_in(run + 1);
      unsigned pixels = __ballot_sync(kAllLanes, my_label != ignore && my_label < channels);
      if (pixels == 0) continue;
      valid += __popc(pixels);

      const int down = run / runs_of_row, first_ow = ows.begin + (run - down * runs_of_row) * kWarp;
      const Tap v = without_twins(rows[ohs.begin + down]);
      const float my_weight_right = without_twins(columns[first_ow + lane]).weight_high;  // of the lane's pixel
      const float my_weight_v = lane >= 4 ? 0.0f : my_corner < 2 ? v.weight_low : v.weight_high;
      float on_left[kClasses], slope[kClasses], d_left[kClasses], d_right[kClasses];
      PSANET_UNROLL
      for (int k = 0; k < kClasses; ++k) {
        const float* of_class = corners + lane + k * kWarp;
        on_left[k] = v.weight_low * of_class[0] + v.weight_high * of_class[2 * kStride];
        slope[k] = v.weight_low * of_class[kStride] + v.weight_high * of_class[3 * kStride] - on_left[k];
        d_left[k] = d_right[k] = 0;
      }
      float logarithms = 0, label_logits = 0;
      while (pixels != 0) {
        const int i = __ffs(static_cast<int>(pixels)) - 1;
        pixels &= pixels - 1;
        const int pixel_label = __shfl_sync(kAllLanes, my_label, i);
        const float weight_right = __shfl_sync(kAllLanes, my_weight_right, i), weight_left = 1.0f - weight_right;

        float e[kClasses], sum = 0;
        PSANET_UNROLL
        for (int k = 0; k < kClasses; ++k) {
          e[k] = exp2_fast(on_left[k] + weight_right * slope[k]);
          sum += e[k];
        }
        sum = warp_sum(sum);
        if (!(sum > 1e-20f)) {  // corners of very different opinions: far below the bound, so from the largest itself
          float highest = -INFINITY;
          PSANET_UNROLL
          for (int k = 0; k < kClasses; ++k) {
            e[k] = on_left[k] + weight_right * slope[k];
            highest = e[k] > highest ? e[k] : highest;
          }
          highest = warp_max(highest);
          sum = 0;
          PSANET_UNROLL
          for (int k = 0; k < kClasses; ++k) {
            e[k] = exp2_fast(e[k] - highest);
            sum += e[k];
          }
          sum = warp_sum(sum);
          logarithms += highest * kLn2;
        }
        logarithms += __logf(sum);

        const float my_weight = my_weight_v * (my_corner % 2 == 0 ? weight_left : weight_right);
        if (lane < 4) {
          label_logits += my_weight * corners[my_corner * kStride + pixel_label];
          label_weights[my_corner * kStride + pixel_label] += my_weight;
        }
        const float to_left = __fdividef(weight_left, sum), to_right = __fdividef(weight_right, sum);
        PSANET_UNROLL
        for (int k = 0; k < kClasses; ++k) {
          d_left[k] += e[k] * to_left;
          d_right[k] += e[k] * to_right;
        }
      }
      // The logarithm is the same in all lanes, a part of the label's logit in each.
      loss += static_cast<double>(lane == 0 ? logarithms : 0.0f) - static_cast<double>(label_logits * kLn2);
      PSANET_UNROLL
      for (int k = 0; k < kClasses; ++k) {
        d_corner[0][k] += v.weight_low * d_left[k];
        d_corner[1][k] += v.weight_low * d_right[k];
        d_corner[2][k] += v.weight_high * d_left[k];
        d_corner[3][k] += v.weight_high * d_right[k];
      }
    }

    if (contributions != nullptr) {
      __syncwarp();
      float* to = contributions + cell * 4 * padded;
      PSANET_UNROLL
      for (int q = 0; q < 4; ++q) {
        PSANET_UNROLL
        for (int k = 0; k < kClasses; ++k) {
          const int c = lane + k * kWarp;
          if (c < padded) to[q * padded + c] = d_corner[q][k] - label_weights[q * kStride + c];
        }
      }
    }
  }
  store_block_sums(loss, valid, sums);
}

/// d_logits [N,H,W,C]: each place is the corner of four cells. places: packs of 4 of the padded channels.
template <class T>
__global__ void add_contributions_kernel(MapDims places, int channels, const float* contributions, T* d_logits) {
  const int padded = places.packs * 4;
  for_each_pack(places, [&](int n, int h, int w, int pack) {
    const int64_t place = static_cast<int64_t>(n * places.rows + h) * places.columns + w;
    const auto corner = [&](int64_t cell, int q) {
      return load<4>(contributions + (cell * 4 + q) * padded + pack * 4);
    };
    const Pack<float, 4> none{};
    const Pack<float, 4> a = corner(place, 0), b = w > 0 ? corner(place - 1, 1) : none,
                         c = h > 0 ? corner(place - places.columns, 2) : none,
                         d = w > 0 && h > 0 ? corner(place - places.columns - 1, 3) : none;
    T* to = d_logits + place * channels + pack * 4;
    PSANET_UNROLL
    for (int i = 0; i < 4; ++i) {
      if (pack * 4 + i < channels) to[i] = rounded<T>((a.v[i] + b.v[i]) + (c.v[i] + d.v[i]));
    }
  });
}

/// A warp for each pixel: gradient [pixels, C] with respect to the pixel's own logits (or null), sums [blocks].
template <class T, class Gradient, int kClasses>
__global__ void __launch_bounds__(kThreads, 4)  // without the 4 ptxas spills, to save registers that are there
    pixels_kernel(int64_t pixels, ResizeAxis rows, ResizeAxis columns, int channels, int ignore, const T* logits,
                  const uint8_t* label, Gradient* gradient, Sums* sums) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  double loss = 0;
  int valid = 0;
  const int64_t step = static_cast<int64_t>(gridDim.x) * kWarps;
  for (int64_t pixel = static_cast<int64_t>(blockIdx.x) * kWarps + threadIdx.x / kWarp; pixel < pixels; pixel += step) {
    const int own_label = label[pixel];
    Gradient* to = gradient == nullptr ? nullptr : gradient + pixel * channels;
    if (own_label == ignore || own_label >= channels) {
      for (int c = lane; to != nullptr && c < channels; c += kWarp) to[c] = rounded<Gradient>(0);
      continue;
    }
    const int64_t row = pixel / columns.out, n = row / rows.out;
    const Tap v = rows[static_cast<int>(row - n * rows.out)], h = columns[static_cast<int>(pixel - row * columns.out)];
    const T* image = logits + n * rows.in * columns.in * channels;
    const auto corner = [&](int r, int c) { return image + (static_cast<int64_t>(r) * columns.in + c) * channels; };
    const T *a = corner(v.low, h.low), *b = corner(v.low, h.high), *c = corner(v.high, h.low),
            *d = corner(v.high, h.high);
    const bool is_copy = v.weight_high == 0 && h.weight_high == 0;

    float e[kClasses], highest = -INFINITY, sum = 0;
    PSANET_UNROLL
    for (int k = 0; k < kClasses; ++k) {
      const int at = lane + k * kWarp;
      e[k] = -INFINITY;
      if (at < channels) {
        float value = as_float(a[at]);
        if (!is_copy) {
          value = v.weight_low * (h.weight_low * value + h.weight_high * as_float(b[at])) +
                  v.weight_high * (h.weight_low * as_float(c[at]) + h.weight_high * as_float(d[at]));
        }
        e[k] = value * kLog2e;
      }
      highest = e[k] > highest ? e[k] : highest;
    }
    highest = warp_max(highest);
    PSANET_UNROLL
    for (int k = 0; k < kClasses; ++k) {
      if (lane + k * kWarp == own_label) loss += static_cast<double>((highest - e[k]) * kLn2);
      e[k] = exp2_fast(e[k] - highest);
      sum += e[k];
    }
    sum = warp_sum(sum);
    if (lane == 0) loss += static_cast<double>(__logf(sum));
    ++valid;
    if (to == nullptr) continue;
    const float share = __fdividef(1.0f, sum);
    PSANET_UNROLL
    for (int k = 0; k < kClasses; ++k) {
      const int at = lane + k * kWarp;
      if (at < channels) to[at] = rounded<Gradient>((at == own_label ? e[k] - sum : e[k]) * share);
    }
  }
  store_block_sums(loss, valid, sums);
}

/// f(classes of a lane, a compile-time number): few, for the sake of compile time.
template <class F>
void with_classes_of_lane(int64_t channels, const F& f) {
  if (channels <= 1 * kWarp) {
    f(std::integral_constant<int, 1>{});
  } else if (channels <= 5 * kWarp) {  // ADE20K's 150
    f(std::integral_constant<int, 5>{});
  } else if (channels <= 8 * kWarp) {
    f(std::integral_constant<int, 8>{});
  } else if (channels <= 16 * kWarp) {
    f(std::integral_constant<int, 16>{});
  } else {
    throw std::invalid_argument("the CUDA cross entropy takes at most 512 classes, not " + std::to_string(channels));
  }
}

int64_t padded_channels(const ResizeDims& d) {
  return ceil_div(d.channels, 4) * 4;
}
bool by_cells(const ResizeDims& d) {
  return d.out_h * d.out_w > 4 * d.in_h * d.in_w;
}
bool is_equal_size(const ResizeDims& d) {
  return d.out_h == d.in_h && d.out_w == d.in_w;
}

template <class T>
BlockSums run_cells(CudaContext& ctx, const ResizeDims& d, int ignore, const T* logits, const uint8_t* label,
                    T* d_logits, float* contributions) {
  const int64_t cells = d.batch * d.in_h * d.in_w, padded = padded_channels(d), blocks = ceil_div(cells, kWarps);
  const BlockSums result{scratch<Sums>(ctx, blocks), blocks};
  if (cells == 0) return result;
  with_classes_of_lane(d.channels, [&](auto classes) {
    const LaunchDims dims{{blocks}, kThreads, kWarps * 2 * 4 * classes() * kWarp * static_cast<int64_t>(sizeof(float))};
    launch(ctx, cells_kernel<T, classes()>, dims, cells, rows_of(d), columns_of(d), d.channels, padded, ignore, logits,
           label, d_logits == nullptr ? nullptr : contributions, result.sums);
  });
  if (d_logits != nullptr) {
    const MapDims places = map_dims(d.batch, d.in_h, d.in_w, padded / 4);
    launch_over_map(ctx, add_contributions_kernel<T>, places, d.channels, contributions, d_logits);
  }
  return result;
}

template <class T, class Gradient>
BlockSums run_pixels(CudaContext& ctx, const ResizeDims& d, int ignore, const T* logits, const uint8_t* label,
                     Gradient* gradient) {
  const int64_t pixels = d.batch * d.out_h * d.out_w;
  const LaunchDims dims = loop_over(ctx, pixels * kWarp, kThreads);
  const BlockSums result{scratch<Sums>(ctx, dims.grid.x), dims.grid.x};
  with_classes_of_lane(d.channels, [&](auto classes) {
    launch(ctx, pixels_kernel<T, Gradient, classes()>, dims, pixels, rows_of(d), columns_of(d), d.channels, ignore,
           logits, label, gradient, result.sums);
  });
  return result;
}

}  // namespace
}  // namespace cuda

int64_t resize_cross_entropy_workspace_bytes(const CudaContext&, const ResizeDims& dims) {
  const auto bytes = static_cast<int64_t>(sizeof(float));
  if (cuda::by_cells(dims)) return dims.batch * dims.in_h * dims.in_w * 4 * cuda::padded_channels(dims) * bytes;
  return cuda::is_equal_size(dims) ? 0 : dims.batch * dims.out_h * dims.out_w * dims.channels * bytes;
}

template <class T>
void resize_cross_entropy(CudaContext& ctx, const ResizeDims& dims, int ignore, const T* logits, const uint8_t* label,
                          float* loss_sum, float* valid, T* d_logits, void* workspace) {
  using namespace cuda;
  auto* gradients = static_cast<float*>(workspace);
  BlockSums of_blocks{};
  if (by_cells(dims)) {
    of_blocks = run_cells(ctx, dims, ignore, logits, label, d_logits, gradients);
  } else if (is_equal_size(dims) || d_logits == nullptr) {
    of_blocks = run_pixels(ctx, dims, ignore, logits, label, d_logits);
  } else {
    of_blocks = run_pixels(ctx, dims, ignore, logits, label, gradients);
    resize_gradient(ctx, dims, gradients, d_logits);
  }
  launch(ctx, add_sums_kernel, {{1}, kSumThreads}, of_blocks.blocks, of_blocks.sums, loss_sum, valid);
}

#define PSANET_INSTANTIATE(T)                                                                                        \
  template void resize_cross_entropy(CudaContext&, const ResizeDims&, int, const T*, const uint8_t*, float*, float*, \
                                     T*, void*);
PSANET_INSTANTIATE(float)
PSANET_INSTANTIATE(bf16)
#undef PSANET_INSTANTIATE

}  // namespace psanet::kernels
