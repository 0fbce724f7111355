#include "kernels/resize_taps.h"

#include "kernels/cpu/resize_axis.h"

namespace psanet::kernels {

using namespace cpu;  // the helpers of this folder

namespace {

/// Channels summed at a time: forward they stay in registers; backward a place has few readers, and many channels at a
/// time spare their weights.
constexpr int64_t kChunk = 64, kGradientChunk = 256;

/// Values that are read with a weight.
struct Part {
  const float* from = nullptr;
  float weight = 0;
};

/// A place of the source and its weight along one axis, with the tap that wants it.
struct AxisPart {
  int64_t tap = 0, place = 0;
  float weight = 0;
};

/// What place `o` of the result reads along one axis; at most 2 * kernel.
int64_t parts_of(const ResizeAxis& axis, int64_t kernel, int64_t dilation, int64_t o, AxisPart* parts) {
  int64_t count = 0;
  for (int64_t tap = 0; tap < kernel; ++tap) {
    const int64_t at = o + (tap - kernel / 2) * dilation;
    if (at < 0 || at >= axis.out()) continue;
    const Tap t = axis[at];
    if (t.weight_low != 0) parts[count++] = {tap, t.low, t.weight_low};
    if (t.weight_high != 0) parts[count++] = {tap, t.high, t.weight_high};
  }
  return count;
}

/// to [count] = base (may be null) + the sum of the parts, `first` channels into each.
void sum_parts(const Part* parts, int64_t count_parts, int64_t first, int64_t count, const float* base, float* to) {
  float sum[kChunk];
  for (int64_t i = 0; i < count; ++i) sum[i] = base ? base[i] : 0;
  if (count == kChunk) {
    for (int64_t p = 0; p < count_parts; ++p) {
      const float* from = parts[p].from + first;
      const float weight = parts[p].weight;
#pragma omp simd
      for (int64_t i = 0; i < kChunk; ++i) sum[i] += weight * from[i];
    }
  } else {
    for (int64_t p = 0; p < count_parts; ++p) {
      const float* from = parts[p].from + first;
      const float weight = parts[p].weight;
#pragma omp simd
      for (int64_t i = 0; i < count; ++i) sum[i] += weight * from[i];
    }
  }
  std::copy_n(sum, count, to);
}

}  // namespace

void resize_taps(CpuContext& ctx, const ResizeTapsDims& dims, const float* x, const float* base, float* y) {
  const ResizeDims& r = dims.resize;
  const ResizeAxis rows(r.in_h, r.out_h, r.align_corners), columns(r.in_w, r.out_w, r.align_corners);
  const int64_t channels = r.channels, place = dims.taps() * channels;
  parallel_blocks(ctx, r.batch * r.out_h, [&](int64_t block) {
    constexpr int64_t kMostAxis = 2 * 15;
    AxisPart vertical[kMostAxis], horizontal[kMostAxis];
    Part parts[kMostAxis * kMostAxis];
    const int64_t vertical_parts = parts_of(rows, dims.kernel_h, dims.dilation_h, block % r.out_h, vertical);
    const float* image = x + block / r.out_h * r.in_h * r.in_w * place;
    for (int64_t o = 0; o < r.out_w; ++o) {
      const int64_t horizontal_parts = parts_of(columns, dims.kernel_w, dims.dilation_w, o, horizontal);
      int64_t count_parts = 0;
      for (int64_t v = 0; v < vertical_parts; ++v) {
        for (int64_t h = 0; h < horizontal_parts; ++h) {
          const int64_t tap = vertical[v].tap * dims.kernel_w + horizontal[h].tap;
          parts[count_parts++] = {image + (vertical[v].place * r.in_w + horizontal[h].place) * place + tap * channels,
                                  vertical[v].weight * horizontal[h].weight};
        }
      }
      const int64_t at = (block * r.out_w + o) * channels;
      for (int64_t first = 0; first < channels; first += kChunk) {
        sum_parts(parts, count_parts, first, std::min(kChunk, channels - first), base ? base + at + first : nullptr,
                  y + at + first);
      }
    }
  });
}

void resize_taps_backward(CpuContext& ctx, const ResizeTapsDims& dims, const float* d_y, float* d_x) {
  const ResizeDims& r = dims.resize;
  const ResizeAxis rows(r.in_h, r.out_h, r.align_corners), columns(r.in_w, r.out_w, r.align_corners);
  const int64_t channels = r.channels;
  parallel_blocks(ctx, r.batch * r.in_h, [&](int64_t block) {
    const int64_t h = block % r.in_h;
    const float* image = d_y + block / r.in_h * r.out_h * r.out_w * channels;
    const Range row_readers = rows.readers(h);
    for (int64_t w = 0; w < r.in_w; ++w) {
      const Range column_readers = columns.readers(w);
      for (int64_t tap = 0; tap < dims.taps(); ++tap) {
        const int64_t down = (tap / dims.kernel_w - dims.kernel_h / 2) * dims.dilation_h,
                      right = (tap % dims.kernel_w - dims.kernel_w / 2) * dims.dilation_w;
        float* to = d_x + ((block * r.in_w + w) * dims.taps() + tap) * channels;
        for (int64_t first = 0; first < channels; first += kGradientChunk) {
          const int64_t count = std::min(kGradientChunk, channels - first);
          float sum[kGradientChunk] = {};
          for (int64_t row = row_readers.begin; row < row_readers.end; ++row) {
            const float weight_h = rows[row].weight_at(h);
            if (weight_h == 0 || row - down < 0 || row - down >= r.out_h) continue;
            for (int64_t column = column_readers.begin; column < column_readers.end; ++column) {
              const float weight = weight_h * columns[column].weight_at(w);
              if (weight == 0 || column - right < 0 || column - right >= r.out_w) continue;
              const float* g = image + ((row - down) * r.out_w + column - right) * channels + first;
#pragma omp simd
              for (int64_t i = 0; i < count; ++i) sum[i] += weight * g[i];
            }
          }
          std::copy_n(sum, count, to + first);
        }
      }
    }
  });
}

}  // namespace psanet::kernels
