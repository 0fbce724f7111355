#include "kernels/elementwise.h"

#include <cstring>

#include "kernels/cpu/parallel.h"
#include "kernels/cpu/row_blocks.h"

namespace psanet::kernels {

using namespace cpu;  // the helpers of this folder

void cast(CpuContext& ctx, int64_t elements, const float* x, bf16* y) {
  parallel_elements(ctx, elements, [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) y[i] = to_bf16(x[i]);
  });
}

void cast(CpuContext& ctx, int64_t elements, const bf16* x, float* y) {
  parallel_elements(ctx, elements, [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) y[i] = to_float(x[i]);
  });
}

void bias_add(CpuContext& ctx, const BiasDims& dims, const float* x, const float* bias, float* y) {
  const int64_t channels = dims.channels;
  const int64_t step = std::max<int64_t>(1, 16384 / std::max<int64_t>(1, channels));
  parallel_blocks(ctx, ceil_div(dims.rows, step), [=](int64_t block) {
    const Range rows = block_range(block, step, dims.rows);
    for (int64_t r = rows.begin; r < rows.end; ++r) {
      const float* from = x + r * channels;
      float* to = y + r * channels;
#pragma omp simd
      for (int64_t c = 0; c < channels; ++c) to[c] = from[c] + bias[c];
    }
  });
}

void bias_backward(CpuContext& ctx, const BiasDims& dims, const float* d_y, float* d_bias) {
  const auto add_row = [&](int64_t row, int64_t first, int64_t channels, float(&sums)[1][kChannelGroup]) {
    const float* g = d_y + row * dims.channels + first;
#pragma omp simd
    for (int64_t c = 0; c < channels; ++c) sums[0][c] += g[c];
  };
  sum_rows<1>(ctx, dims.rows, dims.channels, add_row, {d_bias});
}

void block_copy(CpuContext& ctx, const BlockCopyDims& dims, const void* source, void* target) {
  // Long blocks are cut, short ones are taken many at a time.
  constexpr int64_t kPiece_bytes = 1 << 16;
  const int64_t inner_bytes = dims.inner * dims.value_bytes;
  if (inner_bytes <= 0) return;
  const int64_t pieces = ceil_div(inner_bytes, kPiece_bytes);
  const int64_t step = std::max<int64_t>(1, kPiece_bytes / inner_bytes);
  const char* from = static_cast<const char*>(source) + dims.source_offset * dims.value_bytes;
  char* to = static_cast<char*>(target) + dims.target_offset * dims.value_bytes;
  parallel_blocks(ctx, ceil_div(dims.outer, step) * pieces, [=](int64_t block) {
    const Range outer = block_range(block / pieces, step, dims.outer);
    const Range bytes = block_range(block % pieces, kPiece_bytes, inner_bytes);
    for (int64_t o = outer.begin; o < outer.end; ++o) {
      std::memcpy(to + o * dims.target_stride * dims.value_bytes + bytes.begin,
                  from + o * dims.source_stride * dims.value_bytes + bytes.begin,
                  static_cast<size_t>(bytes.end - bytes.begin));
    }
  });
}

}  // namespace psanet::kernels
