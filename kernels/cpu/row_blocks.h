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

/// Each of the `kSums` results [channels] is a sum over rows, in the order of blocks. add_row(row, first channel,
/// channels, sums) adds what a row has to sums[kSums][kChannelGroup], for a group of channels.
template <int kSums, class AddRow>
void sum_rows(const CpuContext& ctx, int64_t rows, int64_t channels, const AddRow& add_row,
              float* const (&results)[kSums]) {
  const RowBlocks blocks(rows);
  PartialSums partial[kSums];
  for (int64_t group = 0; group < channels; group += kChannelGroup) {
    const int64_t count = std::min(kChannelGroup, channels - group);
    parallel_blocks(ctx, blocks.blocks, [&](int64_t block) {
      for (PartialSums& p : partial) std::fill_n(p[block], count, 0.0);
      const Range range = blocks[block];
      for (int64_t first = range.begin; first < range.end; first += kShortSum) {
        float sums[kSums][kChannelGroup] = {};
        for (int64_t r = first; r < std::min(range.end, first + kShortSum); ++r) add_row(r, group, count, sums);
        for (int s = 0; s < kSums; ++s) {
#pragma omp simd
          for (int64_t c = 0; c < count; ++c) partial[s][block][c] += static_cast<double>(sums[s][c]);
        }
      }
    });
    for (int s = 0; s < kSums; ++s) {
      double total[kChannelGroup] = {};
      for (int64_t block = 0; block < blocks.blocks; ++block) {
#pragma omp simd
        for (int64_t c = 0; c < count; ++c) total[c] += partial[s][block][c];
      }
      for (int64_t c = 0; c < count; ++c) results[s][group + c] = static_cast<float>(total[c]);
    }
  }
}

}  // namespace psanet::kernels::cpu
