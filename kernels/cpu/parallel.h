// Loops shared out over the context's threads. The blocks a loop is cut into depend on the shape alone, never on the
// number of threads: whatever is summed within a block and then over blocks in order has the same bits on any machine
// size.
#pragma once

#include <omp.h>

#include <algorithm>
#include <cstdint>

#include "kernels/context.h"

namespace psanet::kernels::cpu {

inline int64_t ceil_div(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

struct Range {
  int64_t begin = 0, end = 0;
};

/// Block `index` of [0, total) cut every `step`.
inline Range block_range(int64_t index, int64_t step, int64_t total) {
  return {index * step, std::min(total, (index + 1) * step)};
}

/// body(block) for every block; neighbouring blocks go to the same thread, so that successive passes over one tensor
/// find its parts in the same caches. body must not throw.
template <class Body>
void parallel_blocks(const CpuContext& ctx, int64_t blocks, const Body& body) {
  if (blocks <= 1 || ctx.threads <= 1) {
    for (int64_t block = 0; block < blocks; ++block) body(block);
    return;
  }
  // Always the full team: OpenMP runtimes end and restart threads when the size of the team changes.
#pragma omp parallel for schedule(static) num_threads(ctx.threads)
  for (int64_t block = 0; block < blocks; ++block) body(block);
}

/// As parallel_blocks, for few heavy blocks: the next free thread takes the next block. body(block, thread), where
/// thread < ctx.threads names scratch memory.
template <class Body>
void parallel_tasks(const CpuContext& ctx, int64_t tasks, const Body& body) {
  if (tasks <= 1 || ctx.threads <= 1) {
    for (int64_t task = 0; task < tasks; ++task) body(task, 0);
    return;
  }
#pragma omp parallel for schedule(dynamic, 1) num_threads(ctx.threads)
  for (int64_t task = 0; task < tasks; ++task) body(task, omp_get_thread_num());
}

/// body(begin, end) over [0, elements) in cache-sized pieces, for one-pass elementwise work.
template <class Body>
void parallel_elements(const CpuContext& ctx, int64_t elements, const Body& body) {
  constexpr int64_t kPiece = 16384;
  parallel_blocks(ctx, ceil_div(elements, kPiece), [&](int64_t block) {
    const Range piece = block_range(block, kPiece, elements);
    body(piece.begin, piece.end);
  });
}

}  // namespace psanet::kernels::cpu
