#include "kernels/cpu/parallel.h"
#include "kernels/pool_axis.h"

namespace psanet::kernels {

using namespace cpu;  // the helpers of this folder

namespace {

/// Channels worked on at a time.
constexpr int64_t kChunk = 128;

/// body(image, row, column, first channel, channels) for every place of a [batch, rows, columns, channels] map.
template <class Body>
void parallel_places(const CpuContext& ctx, int64_t batch, int64_t rows, int64_t columns, int64_t channels,
                     const Body& body) {
  const int64_t chunks = ceil_div(channels, kChunk);  // shared out too: a global mean has but one place
  parallel_blocks(ctx, batch * rows * chunks, [&](int64_t block) {
    const int64_t row = block / chunks, first = block % chunks * kChunk;
    for (int64_t column = 0; column < columns; ++column) {
      body(row / rows, row % rows, column, first, std::min(kChunk, channels - first));
    }
  });
}

/// y = mean over the windows; divisor(window rows, window columns) is called with places inside the map.
template <class Dims, class Divisor>
void mean_forward(CpuContext& ctx, const Dims& dims, const Divisor& divisor, const float* x, float* y) {
  const auto rows = vertical<Range>(dims), columns = horizontal<Range>(dims);
  const int64_t channels = dims.channels;
  parallel_places(ctx, dims.batch, rows.out, columns.out, channels,
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

template <class Dims, class Divisor>
void mean_backward(CpuContext& ctx, const Dims& dims, const Divisor& divisor, const float* d_y, float* d_x) {
  const auto rows = vertical<Range>(dims), columns = horizontal<Range>(dims);
  const int64_t channels = dims.channels;
  parallel_places(ctx, dims.batch, rows.in, columns.in, channels,
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
  with_divisor(dims, count_padding, [&](const auto& divisor) { mean_forward(ctx, dims, divisor, x, y); });
}

void average_pool_backward(CpuContext& ctx, const PoolDims& dims, bool count_padding, const float* d_y, float* d_x) {
  with_divisor(dims, count_padding, [&](const auto& divisor) { mean_backward(ctx, dims, divisor, d_y, d_x); });
}

void adaptive_average_pool_forward(CpuContext& ctx, const AdaptivePoolDims& dims, const float* x, float* y) {
  mean_forward(ctx, dims, places, x, y);
}

void adaptive_average_pool_backward(CpuContext& ctx, const AdaptivePoolDims& dims, const float* d_y, float* d_x) {
  mean_backward(ctx, dims, places, d_y, d_x);
}

}  // namespace psanet::kernels
