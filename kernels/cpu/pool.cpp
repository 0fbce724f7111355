#include "kernels/pool.h"

#include <cmath>
#include <limits>

#include "kernels/cpu/parallel.h"

namespace psanet::kernels {

using namespace cpu;  // the helpers of this folder

namespace {

/// Channels worked on at a time, in registers or the first cache.
constexpr int64_t kChunk = 64;

/// Winner of a window that lies in the padding altogether.
constexpr int32_t kNoWinner = 255;

/// Windows along one axis.
struct Axis {
  int64_t in, out, kernel, stride, pad;

  /// First place of window `o`, padding included (so it may be negative).
  int64_t start(int64_t o) const { return o * stride - pad; }
  /// Places of window `o` inside the map.
  Range inside(int64_t o) const { return {std::max<int64_t>(0, start(o)), std::min(in, start(o) + kernel)}; }
  /// Windows that cover place `i`.
  Range windows_of(int64_t i) const {
    const int64_t reach = i + pad - kernel + 1;  // start of the first window that still covers i, moved by the padding
    return {reach <= 0 ? 0 : ceil_div(reach, stride), std::min(out, (i + pad) / stride + 1)};
  }
};

Axis vertical(const PoolDims& d) {
  return {d.in_h, d.out_h(), d.kernel_h, d.stride_h, d.pad_h};
}
Axis horizontal(const PoolDims& d) {
  return {d.in_w, d.out_w(), d.kernel_w, d.stride_w, d.pad_w};
}

/// body(image, row, column, first channel, channels) for every place of a [batch, rows, columns, channels] map.
template <class Body>
void parallel_places(const CpuContext& ctx, int64_t batch, int64_t rows, int64_t columns, int64_t channels,
                     const Body& body) {
  parallel_blocks(ctx, batch * rows, [&](int64_t block) {
    for (int64_t column = 0; column < columns; ++column) {
      for (int64_t first = 0; first < channels; first += kChunk) {
        body(block / rows, block % rows, column, first, std::min(kChunk, channels - first));
      }
    }
  });
}

/// Axis of adaptive pooling: window `o` covers floor(o*in/out) .. ceil((o+1)*in/out)-1.
struct AdaptiveAxis {
  int64_t in, out;

  Range inside(int64_t o) const { return {o * in / out, ceil_div((o + 1) * in, out)}; }
  Range windows_of(int64_t i) const {
    // o*in/out <= i  <=>  o*in < (i+1)*out;  ceil((o+1)*in/out) > i  <=>  (o+1)*in > i*out
    return {i * out / in, ceil_div((i + 1) * out, in)};
  }
};

/// y = mean over the windows; divisor(window rows, window columns) is called with places inside the map.
template <class Rows, class Columns, class Divisor>
void mean_forward(CpuContext& ctx, int64_t batch, int64_t channels, const Rows& rows, const Columns& columns,
                  const Divisor& divisor, const float* x, float* y) {
  parallel_places(ctx, batch, rows.out, columns.out, channels,
                  [&](int64_t n, int64_t oh, int64_t ow, int64_t first, int64_t count) {
                    const Range hs = rows.inside(oh), ws = columns.inside(ow);
                    float sum[kChunk] = {};
                    for (int64_t h = hs.begin; h < hs.end; ++h) {
                      for (int64_t w = ws.begin; w < ws.end; ++w) {
                        const float* from = x + ((n * rows.in + h) * columns.in + w) * channels + first;
#pragma omp simd
                        for (int64_t c = 0; c < count; ++c) sum[c] += from[c];
                      }
                    }
                    float* to = y + ((n * rows.out + oh) * columns.out + ow) * channels + first;
                    const float size = divisor(hs, ws);
                    for (int64_t c = 0; c < count; ++c) to[c] = size > 0 ? sum[c] / size : 0.0f;
                  });
}

template <class Rows, class Columns, class Divisor>
void mean_backward(CpuContext& ctx, int64_t batch, int64_t channels, const Rows& rows, const Columns& columns,
                   const Divisor& divisor, const float* d_y, float* d_x) {
  parallel_places(ctx, batch, rows.in, columns.in, channels,
                  [&](int64_t n, int64_t h, int64_t w, int64_t first, int64_t count) {
                    const Range ohs = rows.windows_of(h), ows = columns.windows_of(w);
                    float sum[kChunk] = {};
                    for (int64_t oh = ohs.begin; oh < ohs.end; ++oh) {
                      for (int64_t ow = ows.begin; ow < ows.end; ++ow) {
                        const float share = 1.0f / divisor(rows.inside(oh), columns.inside(ow));
                        const float* from = d_y + ((n * rows.out + oh) * columns.out + ow) * channels + first;
#pragma omp simd
                        for (int64_t c = 0; c < count; ++c) sum[c] += share * from[c];
                      }
                    }
                    std::copy_n(sum, count, d_x + ((n * rows.in + h) * columns.in + w) * channels + first);
                  });
}

float places(Range rows, Range columns) {
  const int64_t height = rows.end - rows.begin, width = columns.end - columns.begin;
  return height > 0 && width > 0 ? static_cast<float>(height * width) : 0.0f;
}

}  // namespace

void max_pool_forward(CpuContext& ctx, const PoolDims& dims, const float* x, float* y, uint8_t* winner) {
  const Axis rows = vertical(dims), columns = horizontal(dims);
  parallel_places(ctx, dims.batch, rows.out, columns.out, dims.channels,
                  [&](int64_t n, int64_t oh, int64_t ow, int64_t first, int64_t count) {
                    float best[kChunk];
                    int32_t place[kChunk];
                    std::fill_n(best, kChunk, -std::numeric_limits<float>::infinity());
                    std::fill_n(place, kChunk, kNoWinner);
                    const Range hs = rows.inside(oh), ws = columns.inside(ow);
                    for (int64_t h = hs.begin; h < hs.end; ++h) {
                      for (int64_t w = ws.begin; w < ws.end; ++w) {
                        const auto tap =
                            static_cast<int32_t>((h - rows.start(oh)) * columns.kernel + w - columns.start(ow));
                        const float* from = x + ((n * rows.in + h) * columns.in + w) * dims.channels + first;
#pragma omp simd
                        for (int64_t c = 0; c < count; ++c) {
                          const float v = from[c];
                          // The first of equals stays; a NaN (v != v) wins and, as nothing is larger, stays unless
                          // another NaN follows; -infinity still beats an empty window.
                          const bool better = v > best[c] || v != v || place[c] == kNoWinner;
                          best[c] = better ? v : best[c];
                          place[c] = better ? tap : place[c];
                        }
                      }
                    }
                    const int64_t at = ((n * rows.out + oh) * columns.out + ow) * dims.channels + first;
                    std::copy_n(best, count, y + at);
                    if (winner != nullptr) {
#pragma omp simd
                      for (int64_t c = 0; c < count; ++c) winner[at + c] = static_cast<uint8_t>(place[c]);
                    }
                  });
}

void max_pool_backward(CpuContext& ctx, const PoolDims& dims, const uint8_t* winner, const float* d_y, float* d_x) {
  const Axis rows = vertical(dims), columns = horizontal(dims);
  parallel_places(ctx, dims.batch, rows.in, columns.in, dims.channels,
                  [&](int64_t n, int64_t h, int64_t w, int64_t first, int64_t count) {
                    float sum[kChunk] = {};
                    const Range ohs = rows.windows_of(h), ows = columns.windows_of(w);
                    for (int64_t oh = ohs.begin; oh < ohs.end; ++oh) {
                      for (int64_t ow = ows.begin; ow < ows.end; ++ow) {
                        const auto tap =
                            static_cast<int32_t>((h - rows.start(oh)) * columns.kernel + w - columns.start(ow));
                        const int64_t at = ((n * rows.out + oh) * columns.out + ow) * dims.channels + first;
#pragma omp simd
                        for (int64_t c = 0; c < count; ++c) {
                          sum[c] += winner[at + c] == tap ? d_y[at + c] : 0.0f;
                        }
                      }
                    }
                    std::copy_n(sum, count, d_x + ((n * rows.in + h) * columns.in + w) * dims.channels + first);
                  });
}

namespace {

/// Calls f(divisor) with the divisor that count_padding asks for.
template <class F>
void with_divisor(const PoolDims& dims, bool count_padding, const F& f) {
  const auto kernel = static_cast<float>(dims.kernel_h * dims.kernel_w);
  if (count_padding) {
    f([kernel](Range, Range) { return kernel; });
  } else {
    f(places);
  }
}

}  // namespace

void average_pool_forward(CpuContext& ctx, const PoolDims& dims, bool count_padding, const float* x, float* y) {
  with_divisor(dims, count_padding, [&](const auto& divisor) {
    mean_forward(ctx, dims.batch, dims.channels, vertical(dims), horizontal(dims), divisor, x, y);
  });
}

void average_pool_backward(CpuContext& ctx, const PoolDims& dims, bool count_padding, const float* d_y, float* d_x) {
  with_divisor(dims, count_padding, [&](const auto& divisor) {
    mean_backward(ctx, dims.batch, dims.channels, vertical(dims), horizontal(dims), divisor, d_y, d_x);
  });
}

void adaptive_average_pool_forward(CpuContext& ctx, const AdaptivePoolDims& dims, const float* x, float* y) {
  mean_forward(ctx, dims.batch, dims.channels, AdaptiveAxis{dims.in_h, dims.out_h}, AdaptiveAxis{dims.in_w, dims.out_w},
               places, x, y);
}

void adaptive_average_pool_backward(CpuContext& ctx, const AdaptivePoolDims& dims, const float* d_y, float* d_x) {
  mean_backward(ctx, dims.batch, dims.channels, AdaptiveAxis{dims.in_h, dims.out_h},
                AdaptiveAxis{dims.in_w, dims.out_w}, places, d_y, d_x);
}

}  // namespace psanet::kernels
