// Products of two tiles in shared memory, by the whole block: every warp owns 64 x 64 of the results, in registers.
// bf16 goes through the warp matrix product, float through plain multiply-adds. For .cu files only.
#pragma once

#include "kernels/cuda/device.h"

namespace psanet::kernels::cuda {

/// Rows and columns of a warp's results: 128 registers, and each operand that is read from shared memory is used 64
/// times.
inline constexpr int kWarpTile = 64;

/// Length of the sums between two barriers: 64 bytes.
template <class T>
inline constexpr int kStep = 64 / static_cast<int>(sizeof(T));

/// Distance of the rows of a tile in shared memory: whole 16-byte units, an odd number of them, so that the eight rows
/// of an 8x8 matrix lie in different banks.
template <class T>
constexpr int pitch(int columns) {
  return columns + kVector<T>;
}

/// How an operand lies in shared memory: sums run along its rows, or across them.
enum class Sums : uint8_t { along_rows, across_rows };

/// The results of one warp: sums [64,64] += a [64,kStep] b [kStep,64].
template <class T>
class WarpProduct;

template <>
class WarpProduct<bf16> {
 public:
  /// a: [64][k] (along rows) or [k][64] (across rows); b: [64][k] or [k][64].
  template <Sums kA, Sums kB>
  __device__ __forceinline__ void add(const bf16* a, int a_pitch, const bf16* b, int b_pitch) {
    // Lane l gives the address of row l % 8 of the 8x8 matrix l / 8: two beside each other and two behind.
    const int lane = static_cast<int>(threadIdx.x) % kWarp;
    const int in_matrix = lane % 8, odd = lane / 8 % 2 * 8, upper = lane / 16 * 8;
    PSANET_UNROLL
    for (int k = 0; k < kStep<bf16>; k += 16) {
      uint32_t left[4][4];
      PSANET_UNROLL
      for (int m = 0; m < 4; ++m) {
        if constexpr (kA == Sums::along_rows) {
          load_matrices(left[m], a + (16 * m + odd + in_matrix) * a_pitch + k + upper);
        } else {
          load_matrices_transposed(left[m], a + (k + upper + in_matrix) * a_pitch + 16 * m + odd);
        }
      }
      PSANET_UNROLL
      for (int n = 0; n < 4; ++n) {
        uint32_t right[4];
        if constexpr (kB == Sums::along_rows) {
          load_matrices(right, b + (16 * n + upper + in_matrix) * b_pitch + k + odd);
        } else {
          load_matrices_transposed(right, b + (k + odd + in_matrix) * b_pitch + 16 * n + upper);
        }
        const uint32_t first[2] = {right[0], right[1]}, second[2] = {right[2], right[3]};
        PSANET_UNROLL
        for (int m = 0; m < 4; ++m) {
          multiply_bf16(sums_[m][2 * n], left[m], first);
          multiply_bf16(sums_[m][2 * n + 1], left[m], second);
        }
      }
    }
  }

  /// body(row, column, result, result of the next column) for this lane's results in 16 rows from 16 * band.
  template <class Body>
  __device__ __forceinline__ void visit(int band, const Body& body) const {
    const int lane = static_cast<int>(threadIdx.x) % kWarp;
    PSANET_UNROLL
    for (int m = 0; m < 4; ++m) {
      if (m != band) continue;  // so written, registers have constant indices
      PSANET_UNROLL
      for (int n = 0; n < 8; ++n) {
        PSANET_UNROLL
        for (int half = 0; half < 2; ++half) {
          body(16 * m + 8 * half + lane / 4, 8 * n + 2 * (lane % 4), sums_[m][n][2 * half], sums_[m][n][2 * half + 1]);
        }
      }
    }
  }

 private:
  float sums_[4][8][4] = {};  // as multiply_bf16 lays them out
};

template <>
class WarpProduct<float> {
 public:
  template <Sums kA, Sums kB>
  __device__ __forceinline__ void add(const float* a, int a_pitch, const float* b, int b_pitch) {
    const int lane = static_cast<int>(threadIdx.x) % kWarp;
    const int row = lane / 8, column = 2 * (lane % 8);
    PSANET_UNROLL
    for (int k = 0; k < kStep<float>; ++k) {
      float right[4][2];
      PSANET_UNROLL
      for (int n = 0; n < 4; ++n) {
        PSANET_UNROLL
        for (int i = 0; i < 2; ++i) {
          right[n][i] =
              kB == Sums::along_rows ? b[(16 * n + column + i) * b_pitch + k] : b[k * b_pitch + 16 * n + column + i];
        }
      }
      PSANET_UNROLL
      for (int m = 0; m < 16; ++m) {
        const float left = kA == Sums::along_rows ? a[(4 * m + row) * a_pitch + k] : a[k * a_pitch + 4 * m + row];
        PSANET_UNROLL
        for (int n = 0; n < 4; ++n) {
          sums_[m][n][0] += left * right[n][0];
          sums_[m][n][1] += left * right[n][1];
        }
      }
    }
  }

  template <class Body>
  __device__ __forceinline__ void visit(int band, const Body& body) const {
    const int lane = static_cast<int>(threadIdx.x) % kWarp;
    PSANET_UNROLL
    for (int m = 0; m < 16; ++m) {
      if (m / 4 != band) continue;
      PSANET_UNROLL
      for (int n = 0; n < 4; ++n) body(4 * m + lane / 8, 16 * n + 2 * (lane % 8), sums_[m][n][0], sums_[m][n][1]);
    }
  }

 private:
  float sums_[16][4][2] = {};
};

/// Part of x [rows, columns] into a tile [kRows][pitch(kColumns)], zeros beyond its edges: asynchronously in units of
/// 16 bytes if `wide` (columns a multiple of kVector). The caller commits, waits and has a barrier.
template <int kRows, int kColumns, int kThreads, class T>
__device__ __forceinline__ void load_tile(const T* x, int rows, int columns, int first_row, int first_column, bool wide,
                                          T* tile) {
  constexpr int kN = kVector<T>, kAcross = kColumns / kN;
  if (wide) {
    PSANET_UNROLL
    for (int i = 0; i < kRows * kAcross / kThreads; ++i) {
      const int unit = i * kThreads + static_cast<int>(threadIdx.x);
      const int r = unit / kAcross, c = unit % kAcross * kN;
      T* to = tile + r * pitch<T>(kColumns) + c;
      if (first_row + r < rows && first_column + c < columns) {
        copy_async_16(to, x + static_cast<int64_t>(first_row + r) * columns + first_column + c);
      } else {
        store<kN>(to, Pack<T, kN>{});
      }
    }
  } else {
    for (int unit = static_cast<int>(threadIdx.x); unit < kRows * kColumns; unit += kThreads) {
      const int r = unit / kColumns, c = unit % kColumns;
      const bool there = first_row + r < rows && first_column + c < columns;
      tile[r * pitch<T>(kColumns) + c] =
          there ? x[static_cast<int64_t>(first_row + r) * columns + first_column + c] : T{};
    }
  }
}

}  // namespace psanet::kernels::cuda
