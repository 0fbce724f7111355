#include "kernels/sliding_window.h"

#include <cmath>

#include "kernels/cpu/lanes.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/softmax_row.h"

namespace psanet::kernels {

using namespace cpu;  // the helpers of this folder

namespace {

/// As 8-bit pixels hold it: rounded half away from zero.
float to_byte(float value) {
  return std::round(std::clamp(value, 0.0f, 255.0f));
}

/// resized[c] for channel c of output (y, x), padded to whole lanes; `in` [*, width, channels].
void resize_pixel(const AxisTaps& rows, const AxisTaps& columns, int64_t width, int64_t channels, int64_t y, int64_t x,
                  const float* in, float* resized) {
  const int32_t *row = rows.index + y * rows.taps, *column = columns.index + x * columns.taps;
  const float *row_weight = rows.weight + y * rows.taps, *column_weight = columns.weight + x * columns.taps;
  for (int64_t i = 0; i < columns.taps; ++i) {
    const float* from = in + column[i] * channels;
    const float weight = column_weight[i];
    if (rows.taps == 2) {  // bilinear: one pass
      const float *above = from + row[0] * width * channels, *below = from + row[1] * width * channels;
      const float upper = row_weight[0], lower = row_weight[1];
      if (i == 0) {
#pragma omp simd
        for (int64_t c = 0; c < channels; ++c) resized[c] = weight * (upper * above[c] + lower * below[c]);
      } else {
#pragma omp simd
        for (int64_t c = 0; c < channels; ++c) resized[c] += weight * (upper * above[c] + lower * below[c]);
      }
      continue;
    }
    float vertical[kMostScores];
    for (int64_t k = 0; k < rows.taps; ++k) {
      const float* at = from + row[k] * width * channels;
      const float share = row_weight[k];
      if (k == 0) {
#pragma omp simd
        for (int64_t c = 0; c < channels; ++c) vertical[c] = share * at[c];
      } else {
#pragma omp simd
        for (int64_t c = 0; c < channels; ++c) vertical[c] += share * at[c];
      }
    }
    if (i == 0) {
#pragma omp simd
      for (int64_t c = 0; c < channels; ++c) resized[c] = weight * vertical[c];
    } else {
#pragma omp simd
      for (int64_t c = 0; c < channels; ++c) resized[c] += weight * vertical[c];
    }
  }
}

/// What finish makes of scores [channels], in place, and what is left to multiply them by. Lanes behind the last
/// channel may be overwritten.
float finish_scores(ScoreFinish finish, int64_t channels, float* scores) {
  if (finish == ScoreFinish::none) return 1;
  const bool softmax = finish == ScoreFinish::softmax;
  const int64_t padded = whole_lanes(channels);
  std::fill(scores + channels, scores + padded, softmax ? std::numeric_limits<float>::lowest() : 0.0f);
  if (softmax) return 1.0f / exponentials(scores, padded, largest(scores, padded));
  Lanes sums{};
  for (int64_t c = 0; c < padded; c += kLanes) sums += load(scores + c);
  return 1.0f / sum(sums);
}

}  // namespace

void make_input_plane(CpuContext& ctx, const InputPlaneDims& d, const float* picture, float* plane) {
  parallel_blocks(ctx, d.height, [&](int64_t y) {
    float* to = plane + y * d.width * 3;
    const int64_t row = y - d.top;
    if (row < 0 || row >= d.rows.out) {
      std::fill_n(to, d.width * 3, 0.0f);
      return;
    }
    std::fill_n(to, d.left * 3, 0.0f);
    std::fill_n(to + (d.left + d.columns.out) * 3, (d.width - d.left - d.columns.out) * 3, 0.0f);
    to += d.left * 3;
    const int32_t* row_index = d.rows.index + row * d.rows.taps;
    const float* row_weight = d.rows.weight + row * d.rows.taps;
    for (int64_t x = 0; x < d.columns.out; ++x, to += 3) {
      const int32_t* column_index = d.columns.index + x * d.columns.taps;
      const float* column_weight = d.columns.weight + x * d.columns.taps;
      for (int64_t c = 0; c < 3; ++c) {
        float value = 0;
        for (int64_t i = 0; i < d.columns.taps; ++i) {
          float vertical = 0;
          for (int64_t k = 0; k < d.rows.taps; ++k) {
            vertical += row_weight[k] * picture[(row_index[k] * d.picture_w + column_index[i]) * 3 + c];
          }
          value += column_weight[i] * (d.round_to_bytes ? to_byte(vertical) : vertical);
        }
        if (d.round_to_bytes) value = to_byte(value);
        to[d.bgr ? 2 - c : c] = (value - d.mean[c]) / d.std[c];
      }
    }
  });
}

void cut_window(CpuContext& ctx, const WindowDims& d, const float* plane, float* window) {
  parallel_blocks(ctx, d.rows, [&](int64_t y) {
    const float* from = plane + ((d.top + y) * d.plane_w + d.left) * d.channels;
    float* to = window + y * d.columns * d.channels;
    if (!d.mirrored) {
      std::copy_n(from, d.columns * d.channels, to);
      return;
    }
    for (int64_t x = 0; x < d.columns; ++x) {
      std::copy_n(from + (d.columns - 1 - x) * d.channels, d.channels, to + x * d.channels);
    }
  });
}

void add_window(CpuContext& ctx, const WindowDims& d, const float* window, float* plane) {
  parallel_blocks(ctx, d.rows, [&](int64_t y) {
    const float* from = window + y * d.columns * d.channels;
    float* to = plane + ((d.top + y) * d.plane_w + d.left) * d.channels;
    if (!d.mirrored) {
#pragma omp simd
      for (int64_t i = 0; i < d.columns * d.channels; ++i) to[i] += from[i];
      return;
    }
    for (int64_t x = 0; x < d.columns; ++x) {
      const float* pixel = from + (d.columns - 1 - x) * d.channels;
      float* place = to + x * d.channels;
#pragma omp simd
      for (int64_t c = 0; c < d.channels; ++c) place[c] += pixel[c];
    }
  });
}

void add_resized_scores(CpuContext& ctx, const ScoreDims& d, const float* plane, float* sum) {
  parallel_blocks(ctx, d.rows.out, [&](int64_t y) {
    alignas(64) float scores[kMostScores];
    float* to = sum + y * d.columns.out * d.channels;
    for (int64_t x = 0; x < d.columns.out; ++x, to += d.channels) {
      resize_pixel(d.rows, d.columns, d.plane_w, d.channels, y, x, plane, scores);
      const float factor = d.weight * finish_scores(d.finish, d.channels, scores);
#pragma omp simd
      for (int64_t c = 0; c < d.channels; ++c) to[c] += factor * scores[c];
    }
  });
}

}  // namespace psanet::kernels
