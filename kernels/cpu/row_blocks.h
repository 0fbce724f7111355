// How sums over the rows of a [rows, channels] tensor are cut up: fixed blocks of rows, and groups of channels so that
// the partial sums of all blocks fit on the stack.
#pragma once

#include "kernels/cpu/parallel.h"

namespace psanet::kernels::cpu {

/// Channels summed at a time.
inline constexpr int64_t kChannelGroup = 256;
/// Blocks of rows at most; each has a partial sum, and the partial sums are added in order.
inline constexpr int64_t kRowBlocks = 64;
/// Rows summed in float32 before the sum goes on in float64; kChannelGroup * kShortSum values stay in the L2 cache.
inline constexpr int64_t kShortSum = 64;

struct RowBlocks {
  explicit RowBlocks(int64_t rows_in)
      : rows(rows_in), step(std::max<int64_t>(16, ceil_div(rows, kRowBlocks))), blocks(ceil_div(rows, step)) {}
  Range operator[](int64_t block) const { return block_range(block, step, rows); }
  int64_t rows, step, blocks;
};

/// Partial sums of one group of channels.
using PartialSums = double[kRowBlocks][kChannelGroup];

/// sum [channels] (at most kChannelGroup of them) over the blocks, in order.
inline void add_up(const PartialSums& partial, int64_t blocks, int64_t channels, float* sum) {
  double total[kChannelGroup] = {};
  for (int64_t block = 0; block < blocks; ++block) {
#pragma omp simd
    for (int64_t c = 0; c < channels; ++c) total[c] += partial[block][c];
  }
  for (int64_t c = 0; c < channels; ++c) sum[c] = static_cast<float>(total[c]);
}

}  // namespace psanet::kernels::cpu
