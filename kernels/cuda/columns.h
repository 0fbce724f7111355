// Sums over the rows of [rows, columns] in a fixed order: the frame of every reduction to [C].
//
// Two kernels. The first: a block owns kColumns neighbouring columns and a share of the rows; its threads are laid out
// as kColumns / kN threads across (kN columns each, one wide load) and the rest down the rows; each thread adds up its
// rows in registers, then the block adds up its threads through shared memory in a fixed order, and writes one partial
// result for each column and share. The second adds the partial results of the shares, in order.
#pragma once

#include "kernels/cuda/runtime.h"

namespace psanet::kernels::cuda {

/// How [rows, columns] is divided. The same shape is always divided the same way.
struct ColumnShares {
  int64_t shares = 1, rows_of_share = 0;
};
inline ColumnShares column_shares(const CudaContext& ctx, int64_t rows, int64_t columns, int64_t columns_of_block) {
  // About four blocks for each multiprocessor, but at least 32 rows in a share.
  const int64_t across = ceil_div(columns, columns_of_block);
  const int64_t wanted = ceil_div(int64_t{4} * ctx.runtime->multiprocessors, across);
  const int64_t most = std::max<int64_t>(1, rows / 32);
  ColumnShares s;
  s.shares = std::clamp<int64_t>(wanted, 1, std::min<int64_t>(most, 1024));
  s.rows_of_share = std::max<int64_t>(1, ceil_div(rows, s.shares));
  s.shares = std::max<int64_t>(1, ceil_div(rows, s.rows_of_share));
  return s;
}

/// sums [columns] = sum over rows of x [rows, columns].
template <class T>
void sum_columns(CudaContext& ctx, int64_t rows, int64_t columns, const T* x, float* sums);

}  // namespace psanet::kernels::cuda
