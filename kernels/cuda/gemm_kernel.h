// Our own matrix product: the kernel, for every kind of operand (gemm_operands.h), and its launch. For .cu files only.
#pragma once

#include "kernels/cuda/gemm_operands.h"
#include "kernels/cuda/runtime.h"
#include "kernels/cuda/split_k.h"

namespace psanet::kernels::cuda {

/// Where results go and what becomes of them on the way: out = relu?(scale sum + beta out + bias? + residual?).
struct GemmOutput {
  void* out = nullptr;
  const void* residual = nullptr;  // as out lies
  const float* bias = nullptr;     // of a column
  Scalar scalar = Scalar::f32;     // of out and residual
  float scale = 1.0f, beta = 0.0f;
  bool relu = false;
  bool wide = false;           // can four neighbouring values be accessed at once? See allow_wide.
  int64_t stride = 0, ld = 0;  // from matrix to matrix and row to row, in values
  // Rows that are places of a map far apart: image, row and column of the place have distances of their own.
  bool scattered = false;
  Divider image, columns;
  int64_t image_step = 0, row_step = 0, column_step = 0;

  /// Rows of n values whose distances are multiples of four; the first is 16-byte aligned.
  void allow_wide(int64_t n) { wide = n % 4 == 0 && ld % 4 == 0 && stride % 4 == 0; }
  __device__ __forceinline__ int64_t offset(int matrix, int row) const {
    if (!scattered) return matrix * stride + row * ld;
    const int n = image.quotient(row), in_image = row - n * image.divisor;
    const int i = columns.quotient(in_image), j = in_image - i * columns.divisor;
    return n * image_step + i * row_step + j * column_step;
  }

  /// kN neighbouring results, at their offset.
  template <class Out, int kN>
  __device__ __forceinline__ void put(int64_t at, int column, const Pack<float, kN>& sums) const {
    Out* to = static_cast<Out*>(out) + at;
    Pack<Out, kN> before{}, added{}, result;
    if (beta != 0.0f) before = load<kN>(to);
    if (residual != nullptr) added = load<kN>(static_cast<const Out*>(residual) + at);
    PSANET_UNROLL
    for (int i = 0; i < kN; ++i) {
      float v = scale * sums.v[i];
      if (beta != 0.0f) v += beta * as_float(before.v[i]);
      if (bias != nullptr) v += bias[column + i];
      if (residual != nullptr) v += as_float(added.v[i]);
      if (relu) v = v < 0.0f ? 0.0f : v;  // so written, NaN stays NaN
      result.v[i] = rounded<Out>(v);
    }
    store<kN>(to, result);
  }
};

template <class A, class B>
struct GemmArguments {
  A a;
  B b;
  GemmOutput out;  // of the product; with splits, of the partial sums
  int m = 0, n = 0, steps = 0, tiles_m = 0, tiles_n = 0;
  SplitK split;
};

/// A warp's results are written in bands of so many rows.
inline constexpr int kBand = 16, kBandPitch = kWarpTile + 8;

/// A block computes kDown x kAcross warp tiles. Three tiles of each operand are in shared memory: one is multiplied
/// while two are on their way.
template <class A, class B, int kDown, int kAcross>
struct GemmShape {
  using T = typename A::Value;
  static constexpr int kThreads = kWarp * kDown * kAcross;
  static constexpr int kM = kWarpTile * kDown, kN = kWarpTile * kAcross, kStages = 3;
  static constexpr bool kAlongA = A::kSums == Sums::along_rows, kAlongB = B::kSums == Sums::along_rows;
  static constexpr int kRowsA = kAlongA ? kM : kStep<T>, kColumnsA = kAlongA ? kStep<T> : kM;
  static constexpr int kRowsB = kAlongB ? kN : kStep<T>, kColumnsB = kAlongB ? kStep<T> : kN;
  static constexpr int kPitchA = pitch<T>(kColumnsA), kPitchB = pitch<T>(kColumnsB);

  struct Shared {
    T a[kStages][kRowsA * kPitchA];
    T b[kStages][kRowsB * kPitchB];
    Pixel pixels[A::kHasPixels ? kM : 1];
  };
  static_assert(sizeof(Shared::a) >= sizeof(float) * kDown * kAcross * kBand * kBandPitch);
};

/// [kBand][kBandPitch] in shared memory; where they belong, and how many rows and columns there are from there on.
struct BandOfResults {
  const float* staged;
  int matrix, first_row, first_column, rows, columns;
};

template <class Out, int kN>
__device__ __forceinline__ void write_units(const BandOfResults& b, const GemmOutput& out) {
  constexpr int kAcross = kWarpTile / kN;
  for (int unit = static_cast<int>(threadIdx.x) % kWarp; unit < kBand * kAcross; unit += kWarp) {
    const int r = unit / kAcross, c = unit % kAcross * kN;
    if (r >= b.rows || c >= b.columns) continue;
    out.put<Out, kN>(out.offset(b.matrix, b.first_row + r) + b.first_column + c, b.first_column + c,
                     load<kN>(b.staged + r * kBandPitch + c));
  }
}
template <class Out>
__device__ __forceinline__ void write_band(const BandOfResults& b, const GemmOutput& out) {
  if (out.wide) {
    write_units<Out, 4>(b, out);
  } else {
    write_units<Out, 1>(b, out);
  }
}

/// One block for each tile, split and matrix; in this order, columns first, so that blocks side by side read the same
/// rows of a.
template <class A, class B, int kDown, int kAcross>
__global__ void __launch_bounds__(kWarp* kDown* kAcross) gemm_kernel(GemmArguments<A, B> g) {
  using Shape = GemmShape<A, B, kDown, kAcross>;
  using T = typename A::Value;
  PSANET_DYNAMIC_SHARED(typename Shape::Shared, shared);
  const int thread = static_cast<int>(threadIdx.x), block = static_cast<int>(blockIdx.x);
  const int row_of_tiles = block / g.tiles_n, part = row_of_tiles / g.tiles_m;
  const int first_column = (block - row_of_tiles * g.tiles_n) * Shape::kN;
  const int first_row = (row_of_tiles - part * g.tiles_m) * Shape::kM;
  const int matrix = part / g.split.count, begin = (part - matrix * g.split.count) * g.split.steps;
  const int steps = g.steps - begin < g.split.steps ? g.steps - begin : g.split.steps;
  A a = g.a;
  B b = g.b;
  a.select(matrix);
  b.select(matrix);
  if constexpr (A::kHasPixels) {
    for (int r = thread; r < Shape::kM; r += Shape::kThreads) shared->pixels[r] = a.taps.pixel(first_row + r);
    a.pixels = shared->pixels;
    __syncthreads();
  }

  // Every step has a group of copies, if an empty one: so the same number of groups is waited for in each.
  const auto load_step = [&](int step, int stage) {
    if (step < steps) {
      const int k = (begin + step) * kStep<T>;
      load_operand<Shape::kRowsA, Shape::kColumnsA, Shape::kThreads>(a, first_row, k, shared->a[stage]);
      load_operand<Shape::kRowsB, Shape::kColumnsB, Shape::kThreads>(b, first_column, k, shared->b[stage]);
    }
    copy_async_commit();
  };
  const int warp = thread / kWarp, warp_row = warp / kAcross * kWarpTile, warp_column = warp % kAcross * kWarpTile;
  const bool idle = first_row + warp_row >= g.m || first_column + warp_column >= g.n;
  WarpProduct<T> product;
  int stage = 1, next = 0;
  for (int step = -2; step < steps; ++step) {
    if (step >= 0) {
      copy_async_wait<1>();
      __syncthreads();  // the step's tiles are there for all, and all have done with those of the step before
    }
    load_step(step + 2, next);
    if (step >= 0 && !idle) {
      product.template add<A::kSums, B::kSums>(
          shared->a[stage] + warp_row * (Shape::kAlongA ? Shape::kPitchA : 1), Shape::kPitchA,
          shared->b[stage] + warp_column * (Shape::kAlongB ? Shape::kPitchB : 1), Shape::kPitchB);
    }
    stage = stage == Shape::kStages - 1 ? 0 : stage + 1;
    next = next == Shape::kStages - 1 ? 0 : next + 1;
  }
  copy_async_wait<0>();
  __syncthreads();
  if (idle) return;

  // Through shared memory, so that neighbouring lanes have neighbouring results.
  float* staged = reinterpret_cast<float*>(shared->a) + warp * kBand * kBandPitch;
  const int rows = g.m - (first_row + warp_row), columns = g.n - (first_column + warp_column);
  for (int band = 0; band < kWarpTile / kBand; ++band) {
    product.visit(band, [&](int r, int c, float left, float right) {
      store<2>(staged + (r - band * kBand) * kBandPitch + c, Pack<float, 2>{left, right});
    });
    __syncwarp();
    const BandOfResults results{
        staged, part, first_row + warp_row + band * kBand, first_column + warp_column, rows - band * kBand, columns};
    if (g.out.scalar == Scalar::f32) {
      write_band<float>(results, g.out);
    } else if constexpr (sizeof(T) == 2) {
      write_band<bf16>(results, g.out);
    }
    __syncwarp();
  }
}

/// Adds the partial sums [matrices, splits, m, n] up, first split first.
void finish_splits(CudaContext& ctx, int matrices, int m, int n, int splits, const float* partial,
                   const GemmOutput& out);

/// The extents of a product as it is launched.
struct GemmExtents {
  int m = 0, n = 0, k = 0, matrices = 1;
};
inline constexpr int kTileM = 128, kTileN = 128;

/// k in steps of T; how the sum is split depends on the extents and the number of multiprocessors alone.
template <class T>
SplitK split_of(const CudaContext& ctx, const GemmExtents& e) {
  return split_k(ceil_div(e.m, kTileM) * ceil_div(e.n, kTileN) * e.matrices, ceil_div(e.k, kStep<T>),
                 static_cast<int64_t>(e.m) * e.n * e.matrices, ctx.runtime->multiprocessors);
}
/// Of the partial sums.
template <class T>
int64_t gemm_workspace_bytes(const CudaContext& ctx, const GemmExtents& e) {
  const int splits = split_of<T>(ctx, e).count;
  return splits == 1 ? 0 : int64_t{splits} * e.matrices * e.m * e.n * static_cast<int64_t>(sizeof(float));
}

template <class A, class B>
void launch_gemm(CudaContext& ctx, const GemmExtents& e, const A& a, const B& b, const GemmOutput& out,
                 void* workspace) {
  using T = typename A::Value;
  using Shape = GemmShape<A, B, kTileM / kWarpTile, kTileN / kWarpTile>;
  GemmArguments<A, B> g;
  g.a = a;
  g.b = b;
  g.m = e.m;
  g.n = e.n;
  g.steps = static_cast<int>(ceil_div(e.k, kStep<T>));
  g.tiles_m = static_cast<int>(ceil_div(e.m, Shape::kM));
  g.tiles_n = static_cast<int>(ceil_div(e.n, Shape::kN));
  g.split = split_of<T>(ctx, e);
  if (g.split.count == 1) {
    g.out = out;
  } else {
    g.out.out = workspace;
    g.out.ld = e.n;
    g.out.stride = static_cast<int64_t>(e.m) * e.n;
    g.out.allow_wide(e.n);
  }
  const int64_t blocks = int64_t{g.tiles_m} * g.tiles_n * g.split.count * e.matrices;
  launch(ctx, gemm_kernel<A, B, kTileM / kWarpTile, kTileN / kWarpTile>,
         {{narrow(blocks)}, Shape::kThreads, sizeof(typename Shape::Shared)}, g);
  if (g.split.count > 1) {
    finish_splits(ctx, e.matrices, e.m, e.n, g.split.count, static_cast<const float*>(workspace), out);
  }
}

}  // namespace psanet::kernels::cuda
