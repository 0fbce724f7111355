#include "kernels/cuda/columns.h"
#include "kernels/cuda/device.h"

namespace psanet::kernels::cuda {

namespace {

constexpr int kThreads = 256;
constexpr int kAcross = 8;  // threads beside each other: a quarter of a warp reads 128 contiguous bytes
constexpr int kDown = kThreads / kAcross;

/// partial [shares, columns]; grid (blocks of columns, shares).
template <class T, int kN>
__global__ void __launch_bounds__(kThreads)
    partial_sums_kernel(int64_t rows, int64_t rows_of_share, int64_t columns, const T* x, float* partial) {
  PSANET_SHARED(float, sums, [kDown][kAcross * kN + 1]);
  const int across = static_cast<int>(threadIdx.x) % kAcross, down = static_cast<int>(threadIdx.x) / kAcross;
  const int64_t column = (static_cast<int64_t>(blockIdx.x) * kAcross + across) * kN;
  const int64_t begin = static_cast<int64_t>(blockIdx.y) * rows_of_share;
  const int64_t end = begin + rows_of_share < rows ? begin + rows_of_share : rows;
  float own[kN] = {};
  if (column < columns) {
    for (int64_t r = begin + down; r < end; r += kDown) {
      accumulate(own, load<kN>(x + r * columns + column));
    }
  }
  PSANET_UNROLL
  for (int i = 0; i < kN; ++i) sums[down][across * kN + i] = own[i];
  __syncthreads();
  const int c = static_cast<int>(threadIdx.x);
  const int64_t at = static_cast<int64_t>(blockIdx.x) * kAcross * kN + c;
  if (c < kAcross * kN && at < columns) {
    float total = 0;
    for (int d = 0; d < kDown; ++d) total += sums[d][c];
    partial[blockIdx.y * columns + at] = total;
  }
}

__global__ void add_partials_kernel(int64_t shares, int64_t columns, const float* partial, float* sums) {
  const int64_t c = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (c >= columns) return;
  float total = 0;
  for (int64_t s = 0; s < shares; ++s) total += partial[s * columns + c];
  sums[c] = total;
}

template <class T, int kN>
void run(CudaContext& ctx, int64_t rows, int64_t columns, const T* x, float* sums) {
  const ColumnShares d = column_shares(ctx, rows, columns, kAcross * kN);
  auto* partial = scratch<float>(ctx, d.shares * columns);
  const Grid grid{ceil_div(columns, kAcross * kN), d.shares};
  launch(ctx, partial_sums_kernel<T, kN>, {grid, kThreads}, rows, d.rows_of_share, columns, x, partial);
  launch(ctx, add_partials_kernel, {{ceil_div(columns, 128)}, 128}, d.shares, columns, partial, sums);
}

}  // namespace

template <class T>
void sum_columns(CudaContext& ctx, int64_t rows, int64_t columns, const T* x, float* sums) {
  if (columns == 0) return;
  with_packs<kVector<T>>(columns % kVector<T> == 0, [&](auto n) { run<T, n()>(ctx, rows, columns, x, sums); });
}

template void sum_columns(CudaContext&, int64_t, int64_t, const float*, float*);
template void sum_columns(CudaContext&, int64_t, int64_t, const bf16*, float*);

}  // namespace psanet::kernels::cuda
