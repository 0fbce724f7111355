#include "kernels/resize.h"

#include <limits>
#include <utility>

#include "kernels/cpu/resize_axis.h"

namespace psanet::kernels {

using namespace cpu;  // the helpers of this folder

namespace {

/// Channels of a gradient summed at a time.
constexpr int64_t kChunk = 256;

}  // namespace

void resize_forward(CpuContext& ctx, const ResizeDims& dims, const float* x, float* y) {
  const ResizeAxis rows(dims.in_h, dims.out_h, dims.align_corners), columns(dims.in_w, dims.out_w, dims.align_corners);
  const int64_t channels = dims.channels;
  parallel_blocks(ctx, dims.batch * dims.out_h, [&](int64_t block) {
    const Tap v = rows[block % dims.out_h];
    const float* image = x + block / dims.out_h * dims.in_h * dims.in_w * channels;
    const float* above = image + v.low * dims.in_w * channels;
    const float* below = image + v.high * dims.in_w * channels;
    float* to = y + block * dims.out_w * channels;
    for (int64_t o = 0; o < dims.out_w; ++o, to += channels) {
      const Tap h = columns[o];
      const float *a = above + h.low * channels, *b = above + h.high * channels;
      const float *c = below + h.low * channels, *d = below + h.high * channels;
#pragma omp simd
      for (int64_t i = 0; i < channels; ++i) {
        to[i] = v.weight_low * (h.weight_low * a[i] + h.weight_high * b[i]) +
                v.weight_high * (h.weight_low * c[i] + h.weight_high * d[i]);
      }
    }
  });
}

void resize_backward(CpuContext& ctx, const ResizeDims& dims, const float* d_y, float* d_x) {
  const ResizeAxis rows(dims.in_h, dims.out_h, dims.align_corners), columns(dims.in_w, dims.out_w, dims.align_corners);
  const int64_t channels = dims.channels;
  parallel_blocks(ctx, dims.batch * dims.in_h, [&](int64_t block) {
    const int64_t h = block % dims.in_h;
    const float* image = d_y + block / dims.in_h * dims.out_h * dims.out_w * channels;
    const Range row_readers = rows.readers(h);
    for (int64_t w = 0; w < dims.in_w; ++w) {
      const Range column_readers = columns.readers(w);
      float* to = d_x + (block * dims.in_w + w) * channels;
      for (int64_t first = 0; first < channels; first += kChunk) {
        const int64_t count = std::min(kChunk, channels - first);
        float sum[kChunk] = {};
        for (int64_t oh = row_readers.begin; oh < row_readers.end; ++oh) {
          const float weight_h = rows[oh].weight_at(h);
          if (weight_h == 0) continue;  // whole rows, when sizes divide (59 -> 30)
          for (int64_t ow = column_readers.begin; ow < column_readers.end; ++ow) {
            const float weight = weight_h * columns[ow].weight_at(w);
            if (weight == 0) continue;
            const float* g = image + (oh * dims.out_w + ow) * channels + first;
#pragma omp simd
            for (int64_t i = 0; i < count; ++i) sum[i] += weight * g[i];
          }
        }
        std::copy_n(sum, count, to + first);
      }
    }
  });
}

void resize_argmax(CpuContext& ctx, const ResizeDims& dims, const float* x, uint8_t* labels) {
  constexpr int64_t kLanes = 16, kMostClasses = 256;
  const ResizeAxis rows(dims.in_h, dims.out_h, dims.align_corners), columns(dims.in_w, dims.out_w, dims.align_corners);
  const int64_t channels = dims.channels;
  const int64_t padded = ceil_div(channels, kLanes) * kLanes;
  constexpr float kLowest = std::numeric_limits<float>::lowest();
  parallel_blocks(ctx, dims.batch * dims.out_h, [&](int64_t block) {
    const Tap v = rows[block % dims.out_h];
    const float* image = x + block / dims.out_h * dims.in_h * dims.in_w * channels;
    const float* above = image + v.low * dims.in_w * channels;
    const float* below = image + v.high * dims.in_w * channels;
    uint8_t* to = labels + block * dims.out_w;

    // The two columns between which the outputs of a cell lie, interpolated vertically once.
    alignas(64) float columns_memory[2][kMostClasses];
    std::fill_n(&columns_memory[0][0], 2 * kMostClasses, kLowest);
    float *left = columns_memory[0], *right = columns_memory[1];
    const auto interpolate_column = [&](int64_t w, float* column) {
      const float *a = above + w * channels, *b = below + w * channels;
#pragma omp simd
      for (int64_t c = 0; c < channels; ++c) column[c] = v.weight_low * a[c] + v.weight_high * b[c];
    };
    interpolate_column(0, right);
    for (int64_t w = 0; w < dims.in_w; ++w) {
      std::swap(left, right);
      interpolate_column(std::min(w + 1, dims.in_w - 1), right);
      const Range cell = columns.cell(w);
      for (int64_t o = cell.begin; o < cell.end; ++o) {
        const Tap h = columns[o];
        // Each lane keeps the first of its largest; the lowest class among the best lanes is the answer.
        float best[kLanes];
        int32_t which[kLanes];
        for (int64_t lane = 0; lane < kLanes; ++lane) {
          best[lane] = h.weight_low * left[lane] + h.weight_high * right[lane];
          which[lane] = static_cast<int32_t>(lane);
        }
        for (int64_t c = kLanes; c < padded; c += kLanes) {
#pragma omp simd
          for (int64_t lane = 0; lane < kLanes; ++lane) {
            const float value = h.weight_low * left[c + lane] + h.weight_high * right[c + lane];
            which[lane] = value > best[lane] ? static_cast<int32_t>(c + lane) : which[lane];
            best[lane] = value > best[lane] ? value : best[lane];
          }
        }
        int64_t winner = 0;
        for (int64_t lane = 1; lane < kLanes; ++lane) {
          if (best[lane] > best[winner] || (best[lane] == best[winner] && which[lane] < which[winner])) winner = lane;
        }
        to[o] = static_cast<uint8_t>(which[winner]);
      }
    }
  });
}

}  // namespace psanet::kernels
