// Neighbouring threads work on neighbouring values, so that every access to a plane is coalesced; a warp computes the
// scores of a pixel, because finishing them needs all of its classes.
#include <limits>

#include "kernels/cuda/device.h"
#include "kernels/cuda/map_loop.h"
#include "kernels/cuda/runtime.h"
#include "kernels/sliding_window.h"

namespace psanet::kernels {

namespace cuda {
namespace {

/// As 8-bit pixels hold it: rounded half away from zero.
__device__ __forceinline__ float to_byte(float value) {
  const float bounded = value < 0.0f ? 0.0f : value > 255.0f ? 255.0f : value;
  return floorf(bounded + 0.5f);
}

/// One pixel of the plane for each thread.
__global__ void input_plane_kernel(MapDims out, InputPlaneDims d, const float* picture, float* plane) {
  for_each_pack(out, [&](int, int y, int x, int) {
    float* to = plane + (static_cast<int64_t>(y) * d.width + x) * 3;
    const int64_t row = y - d.top, column = x - d.left;
    if (row < 0 || row >= d.rows.out || column < 0 || column >= d.columns.out) {
      to[0] = to[1] = to[2] = 0.0f;
      return;
    }
    const int32_t *row_index = d.rows.index + row * d.rows.taps,
                  *column_index = d.columns.index + column * d.columns.taps;
    const float *row_weight = d.rows.weight + row * d.rows.taps,
                *column_weight = d.columns.weight + column * d.columns.taps;
    PSANET_UNROLL
    for (int c = 0; c < 3; ++c) {
      float value = 0.0f;
      for (int i = 0; i < d.columns.taps; ++i) {
        float vertical = 0.0f;
        for (int k = 0; k < d.rows.taps; ++k) {
          vertical += row_weight[k] * picture[(row_index[k] * d.picture_w + column_index[i]) * 3 + c];
        }
        value += column_weight[i] * (d.round_to_bytes ? to_byte(vertical) : vertical);
      }
      if (d.round_to_bytes) value = to_byte(value);
      to[d.bgr ? 2 - c : c] = (value - d.mean[c]) / d.std[c];
    }
  });
}

/// Address of a value of the window in the plane.
__device__ __forceinline__ int64_t place_in_plane(const WindowDims& d, int row, int column, int channel) {
  const int64_t x = d.mirrored ? d.columns - 1 - column : column;
  return ((d.top + row) * d.plane_w + d.left + x) * d.channels + channel;
}
__device__ __forceinline__ int64_t place_in_window(const WindowDims& d, int row, int column, int channel) {
  return (row * d.columns + column) * d.channels + channel;
}

__global__ void cut_window_kernel(MapDims map, WindowDims d, const float* plane, float* window) {
  for_each_pack(map, [&](int, int row, int column, int c) {
    window[place_in_window(d, row, column, c)] = plane[place_in_plane(d, row, column, c)];
  });
}

__global__ void add_window_kernel(MapDims map, WindowDims d, const float* window, float* plane) {
  for_each_pack(map, [&](int, int row, int column, int c) {
    plane[place_in_plane(d, row, column, c)] += window[place_in_window(d, row, column, c)];
  });
}

constexpr int kThreads = 256;
/// Classes that a lane holds.
constexpr int kHeld = static_cast<int>(kMostScores) / kWarp;

/// grid: blocks of kThreads / kWarp pixels.
__global__ void __launch_bounds__(kThreads) resized_scores_kernel(ScoreDims d, const float* plane, float* sum) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp, channels = static_cast<int>(d.channels);
  const int64_t pixel = static_cast<int64_t>(blockIdx.x) * (kThreads / kWarp) + threadIdx.x / kWarp;
  if (pixel >= d.rows.out * d.columns.out) return;  // whole warps
  const int64_t y = pixel / d.columns.out, x = pixel - y * d.columns.out;
  const int32_t *row_index = d.rows.index + y * d.rows.taps, *column_index = d.columns.index + x * d.columns.taps;
  const float *row_weight = d.rows.weight + y * d.rows.taps, *column_weight = d.columns.weight + x * d.columns.taps;

  float score[kHeld];
  PSANET_UNROLL
  for (int h = 0; h < kHeld; ++h) {
    score[h] = 0.0f;
    const int c = h * kWarp + lane;
    if (c >= channels) continue;
    for (int i = 0; i < d.columns.taps; ++i) {
      float vertical = 0.0f;
      for (int k = 0; k < d.rows.taps; ++k) {
        vertical += row_weight[k] * plane[(row_index[k] * d.plane_w + column_index[i]) * d.channels + c];
      }
      score[h] += column_weight[i] * vertical;
    }
  }

  float factor = d.weight;
  if (d.finish != ScoreFinish::none) {
    if (d.finish == ScoreFinish::softmax) {
      float top = std::numeric_limits<float>::lowest();
      PSANET_UNROLL
      for (int h = 0; h < kHeld; ++h) {
        if (h * kWarp + lane < channels && score[h] > top) top = score[h];
      }
      top = warp_max(top);
      PSANET_UNROLL
      for (int h = 0; h < kHeld; ++h) {
        if (h * kWarp + lane < channels) score[h] = __expf(score[h] - top);
      }
    }
    float total = 0.0f;
    PSANET_UNROLL
    for (int h = 0; h < kHeld; ++h) total += score[h];
    factor = d.weight * (1.0f / warp_sum(total));
  }
  PSANET_UNROLL
  for (int h = 0; h < kHeld; ++h) {
    const int c = h * kWarp + lane;
    if (c < channels) sum[pixel * d.channels + c] += factor * score[h];
  }
}

}  // namespace
}  // namespace cuda

void make_input_plane(CudaContext& ctx, const InputPlaneDims& dims, const float* picture, float* plane) {
  using namespace cuda;
  launch_over_map(ctx, input_plane_kernel, map_dims(1, dims.height, dims.width, 1), dims, picture, plane);
}

void cut_window(CudaContext& ctx, const WindowDims& dims, const float* plane, float* window) {
  using namespace cuda;
  launch_over_map(ctx, cut_window_kernel, map_dims(1, dims.rows, dims.columns, dims.channels), dims, plane, window);
}

void add_window(CudaContext& ctx, const WindowDims& dims, const float* window, float* plane) {
  using namespace cuda;
  launch_over_map(ctx, add_window_kernel, map_dims(1, dims.rows, dims.columns, dims.channels), dims, window, plane);
}

void add_resized_scores(CudaContext& ctx, const ScoreDims& dims, const float* plane, float* sum) {
  using namespace cuda;
  const int64_t pixels = dims.rows.out * dims.columns.out;
  if (pixels * dims.channels == 0) return;
  launch(ctx, resized_scores_kernel, LaunchDims{{ceil_div(pixels, kThreads / kWarp)}, kThreads}, dims, plane, sum);
}

}  // namespace psanet::kernels
