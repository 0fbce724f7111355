// How kernels walk over [rows, channels] when every thread keeps its channels: what depends on the channel alone (a
// mean, a factor) is loaded and computed once and stays in registers.
//
// A block of kWalkThreads threads is 2^log2_across threads beside each other, kN channels each (one wide load), and as
// many below each other as that leaves: narrow tensors get several rows in a warp, so that a warp always reads
// neighbouring bytes, 512 of them where kN values are 16 bytes. grid (blocks of channels, blocks of rows).
#pragma once

#include "kernels/cuda/device.h"
#include "kernels/cuda/runtime.h"

namespace psanet::kernels::cuda {

inline constexpr int kWalkThreads = 256;
/// Blocks that a multiprocessor holds at a time, unless a kernel needs more registers than that leaves; grids are made
/// of one such wave, so that none comes late.
inline constexpr int kWalkBlocks = 4;

struct ChannelWalk {
  int log2_across = 0;
  int64_t channels_of_block = 1, rows_of_block = 1;
};
inline ChannelWalk channel_walk(int64_t channels, int channels_of_thread) {
  ChannelWalk w;
  while (w.log2_across < 5 && (int64_t{channels_of_thread} << w.log2_across) < channels) ++w.log2_across;
  w.channels_of_block = int64_t{channels_of_thread} << w.log2_across;
  w.rows_of_block = kWalkThreads >> w.log2_across;
  return w;
}

/// For kernels that write as many rows as they read: one wave of blocks, each several blocks of rows apart. More than
/// one `plane` of rows: grid.z. `blocks`: of a multiprocessor.
inline LaunchDims walk_rows_of(const CudaContext& ctx, const ChannelWalk& w, int64_t rows, int64_t channels,
                               int64_t planes = 1, int blocks = kWalkBlocks) {
  const int64_t across = ceil_div(channels, w.channels_of_block), deep = std::min<int64_t>(planes, 65535);
  const int64_t wave = int64_t{blocks} * ctx.runtime->multiprocessors / (across * deep);
  const int64_t down = std::clamp<int64_t>(wave, 1, ceil_div(rows, w.rows_of_block));
  return {{across, down, deep}, kWalkThreads};
}

/// Where a thread stands in its block.
struct WalkPlace {
  int64_t channel;  // the first of its kN
  int column;       // the same, counted from the block's first channel
  int row, rows;    // its row of the block's rows
  int channels;     // of the block
};
template <int kN>
__device__ __forceinline__ WalkPlace walk_place(int log2_across) {
  const int thread = static_cast<int>(threadIdx.x);
  WalkPlace p;
  p.column = (thread & ((1 << log2_across) - 1)) * kN;
  p.row = thread >> log2_across;
  p.rows = kWalkThreads >> log2_across;
  p.channels = kN << log2_across;
  p.channel = static_cast<int64_t>(blockIdx.x) * p.channels + p.column;
  return p;
}

/// use_row(row, load_row(row)) for row = first, first + step, ... below end; kAhead rows are loaded before the first of
/// them is used, so that as many loads are under way.
template <int kAhead, class LoadRow, class UseRow>
__device__ __forceinline__ void walk_rows(int64_t first, int64_t end, int64_t step, const LoadRow& load_row,
                                          const UseRow& use_row) {
  for (int64_t row = first; row < end; row += kAhead * step) {
    decltype(load_row(row)) values[kAhead];
    PSANET_UNROLL
    for (int j = 0; j < kAhead; ++j) {
      if (row + j * step < end) values[j] = load_row(row + j * step);
    }
    PSANET_UNROLL
    for (int j = 0; j < kAhead; ++j) {
      if (row + j * step < end) use_row(row + j * step, values[j]);
    }
  }
}

/// kN floats, in accesses of at most 16 bytes.
template <int kN>
struct Floats {
  float v[kN];
};
template <int kN>
__device__ __forceinline__ Floats<kN> load_floats(const float* p) {
  constexpr int kWide = kN < 4 ? kN : 4;
  Floats<kN> result;
  PSANET_UNROLL
  for (int i = 0; i < kN; i += kWide) {
    const Pack<float, kWide> part = load<kWide>(p + i);
    PSANET_UNROLL
    for (int j = 0; j < kWide; ++j) result.v[i + j] = part.v[j];
  }
  return result;
}

}  // namespace psanet::kernels::cuda
