// Loops over maps [batch, rows, columns, channels] in which a thread computes some neighbouring channels of a place.
// For .cu files only.
#pragma once

#include "kernels/cuda/runtime.h"

namespace psanet::kernels::cuda {

/// The map that is written: a thread for each pack of channels, blockIdx.y for its rows. A place is taken apart with
/// 32-bit arithmetic; 64 bits are for offsets alone.
struct MapDims {
  int batch = 0, rows = 0, columns = 0, packs = 0;
};

inline MapDims map_dims(int64_t batch, int64_t rows, int64_t columns, int64_t packs) {
  return {static_cast<int>(batch), static_cast<int>(rows), static_cast<int>(columns), static_cast<int>(packs)};
}

/// launch_over_map(ctx, kernel, map, arguments...): a kernel whose first parameter is the map; none for an empty one.
template <class... P, class... A>
void launch_over_map(CudaContext& ctx, void (*kernel)(MapDims, P...), const MapDims& m, A&&... arguments) {
  if (int64_t{m.batch} * m.rows * m.columns * m.packs == 0) return;
  const int64_t row = int64_t{m.columns} * m.packs;
  const int64_t threads = std::min<int64_t>(256, ceil_div(row, 32) * 32);
  const int64_t rows = std::min<int64_t>(65535, int64_t{m.batch} * m.rows);
  launch(ctx, kernel, {{ceil_div(row, threads), rows}, threads}, m, std::forward<A>(arguments)...);
}

/// f(image, row, column, pack) for every pack of this thread.
template <class F>
__device__ __forceinline__ void for_each_pack(const MapDims& m, const F& f) {
  const int at = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (at >= m.columns * m.packs) return;
  const int column = at / m.packs, pack = at - column * m.packs;
  for (int row = static_cast<int>(blockIdx.y); row < m.batch * m.rows; row += static_cast<int>(gridDim.y)) {
    const int image = row / m.rows;
    f(image, row - image * m.rows, column, pack);
  }
}

/// Can rows of `channels` values be read and written `width` at a time? One address for each tensor.
template <class... P>
bool in_packs_of(int width, int64_t channels, const P*... tensors) {
  return channels % width == 0 && (is_aligned(tensors, width * static_cast<int64_t>(sizeof(P))) && ...);
}

}  // namespace psanet::kernels::cuda
