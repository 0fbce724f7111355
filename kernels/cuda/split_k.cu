#include "kernels/cuda/gemm_kernel.h"
#include "kernels/cuda/map_loop.h"
#include "kernels/cuda/split_k.h"

namespace psanet::kernels::cuda {

namespace {

/// A thread for each result.
template <class Out>
__global__ void finish_splits_kernel(MapDims map, int splits, const float* partial, GemmOutput out) {
  const int64_t matrix_size = static_cast<int64_t>(map.rows) * map.columns;
  for_each_pack(map, [&](int matrix, int row, int column, int) {
    const float* from = partial + matrix * splits * matrix_size + static_cast<int64_t>(row) * map.columns + column;
    float sum = 0.0f;
    for (int s = 0; s < splits; ++s) sum += from[s * matrix_size];
    out.template put<Out, 1>(out.offset(matrix, row) + column, column, {sum});
  });
}

}  // namespace

SplitK split_k(int64_t tiles, int64_t steps, int64_t results, int multiprocessors) {
  // In steps of a block: what begins and ends it; what its partial sums, written and read again, take of the memory's
  // time. Two blocks share a multiprocessor.
  constexpr int64_t kOverhead = 4, kPartial = 8;
  constexpr int64_t kMost_bytes = int64_t{128} << 20;
  const int64_t at_once = int64_t{2} * multiprocessors;
  SplitK best{1, static_cast<int>(steps)};
  int64_t best_time = ceil_div(tiles, at_once) * (steps + kOverhead);
  for (int64_t count = 2; count <= steps; ++count) {
    if (tiles * count > 2 * at_once) break;
    if (count * results * static_cast<int64_t>(sizeof(float)) > kMost_bytes) break;
    const int64_t each = ceil_div(steps, count);
    const int64_t time = ceil_div(tiles * count, at_once) * (each + kOverhead + kPartial);
    if (time >= best_time) continue;
    best_time = time;
    best = {static_cast<int>(ceil_div(steps, each)), static_cast<int>(each)};
  }
  return best;
}

void finish_splits(CudaContext& ctx, int matrices, int m, int n, int splits, const float* partial,
                   const GemmOutput& out) {
  const MapDims map = map_dims(matrices, m, n, 1);
  if (out.scalar == Scalar::f32) {
    launch_over_map(ctx, finish_splits_kernel<float>, map, splits, partial, out);
  } else {
    launch_over_map(ctx, finish_splits_kernel<bf16>, map, splits, partial, out);
  }
}

}  // namespace psanet::kernels::cuda
