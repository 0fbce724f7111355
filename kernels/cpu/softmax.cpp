#include "kernels/softmax.h"

#include "kernels/cpu/lanes.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/softmax_row.h"

namespace psanet::kernels {

using namespace cpu;  // the helpers of this folder

namespace {

/// body(row) for every row, many short rows at a time.
template <class Body>
void parallel_rows(const CpuContext& ctx, const SoftmaxDims& dims, const Body& body) {
  const int64_t step = std::max<int64_t>(1, 4096 / std::max<int64_t>(1, dims.columns));
  parallel_blocks(ctx, ceil_div(dims.rows, step), [&](int64_t block) {
    const Range rows = block_range(block, step, dims.rows);
    for (int64_t row = rows.begin; row < rows.end; ++row) body(row);
  });
}

}  // namespace

void softmax_forward(CpuContext& ctx, const SoftmaxDims& dims, const float* x, float* y) {
  parallel_rows(ctx, dims,
                [=](int64_t row) { softmax_row(x + row * dims.columns, y + row * dims.columns, dims.columns); });
}

void softmax_backward(CpuContext& ctx, const SoftmaxDims& dims, const float* y, const float* d_y, float* d_x) {
  const int64_t columns = dims.columns, whole = columns / kLanes * kLanes, rest = columns - whole;
  parallel_rows(ctx, dims, [=](int64_t row) {
    const float *out = y + row * columns, *g = d_y + row * columns;
    float* to = d_x + row * columns;
    Lanes sums{};
    for (int64_t c = 0; c < whole; c += kLanes) sums += load(out + c) * load(g + c);
    if (rest > 0) sums += load_some(out + whole, rest, 0.0f) * load_some(g + whole, rest, 0.0f);
    const float dot = sum(sums);
#pragma omp simd
    for (int64_t c = 0; c < columns; ++c) to[c] = out[c] * (g[c] - dot);
  });
}

}  // namespace psanet::kernels
