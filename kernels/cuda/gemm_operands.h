// Operands of our own matrix products: where the units of a tile lie in memory. An operand whose sums run along its
// rows gives tiles [m or n][kStep], the other kind tiles [kStep][m or n] (block_product.h). For .cu files only.
#pragma once

#include <limits>
#include <stdexcept>

#include "kernels/cuda/block_product.h"

namespace psanet::kernels::cuda {

/// Division by a number that is the same for all threads: exact for dividends from 0 to 2^31 - 1.
struct Divider {
  int divisor = 1;
  unsigned factor = 0;  // 2^(32 + shift) / divisor, rounded up; unused for 1
  int shift = 0;

  static Divider of(int divisor) {
    Divider d;
    if (divisor <= 1) return d;
    d.divisor = divisor;
    while (int64_t{1} << (d.shift + 1) < divisor) ++d.shift;
    d.factor = static_cast<unsigned>(((uint64_t{1} << (32 + d.shift)) + static_cast<uint64_t>(divisor) - 1) / divisor);
    return d;
  }
  __device__ __forceinline__ int quotient(int dividend) const {
    return divisor == 1 ? dividend : static_cast<int>(__umulhi(static_cast<unsigned>(dividend), factor) >> shift);
  }
};

/// An extent or a distance that kernels keep in 32 bits, with room for a tile behind it; throws std::invalid_argument.
inline int narrow(int64_t value) {
  constexpr int64_t kMost = std::numeric_limits<int>::max() - 65536;
  if (value < 0 || value > kMost) {
    throw std::invalid_argument("our matrix products have extents up to 2^31 - 65537, not " + std::to_string(value));
  }
  return static_cast<int>(value);
}

/// The widest access, in values, that rows at these distances allow (the first of them is 16-byte aligned).
template <class T>
int unit_for(std::initializer_list<int64_t> distances) {
  const auto fits = [&](int unit) {
    for (int64_t d : distances) {
      if (d % unit != 0) return false;
    }
    return true;
  };
  if (fits(kVector<T>)) return kVector<T>;
  constexpr int kWord = 4 / static_cast<int>(sizeof(T));
  return fits(kWord) ? kWord : 1;
}

/// Neighbouring values of a tile: the first `count` are there, the others are zeros. With none the address is not
/// looked at, so it need not be one: that saves a branch for each unit.
template <class T>
struct Unit {
  const T* from;
  int count;
};

__device__ __forceinline__ int clamped(int x, int most) {
  return x < 0 ? 0 : x < most ? x : most;
}

/// A matrix [rows, columns] as it lies in memory, and others behind it.
template <class T, Sums kOrder>
struct MatrixOperand {
  using Value = T;
  static constexpr Sums kSums = kOrder;
  static constexpr bool kHasPixels = false;
  const T* x = nullptr;
  int64_t stride = 0;
  int rows = 0, columns = 0, ld = 0, unit = 1;

  struct Column {
    int at, count;
  };
  __device__ __forceinline__ void select(int matrix) { x += matrix * stride; }
  /// What units in column c of the tile at (first, k) have in common; first: of the rows or columns of the result.
  template <int kN>
  __device__ __forceinline__ Column column(int first, int k, int c) const {
    const int at = (kSums == Sums::along_rows ? k : first) + c;
    return {at, clamped(columns - at, kN)};
  }
  __device__ __forceinline__ Unit<T> unit_of(const Column& column, int first, int k, int r) const {
    const int row = (kSums == Sums::along_rows ? first : k) + r;
    return {x + (static_cast<int64_t>(row) * ld + column.at), row < rows ? column.count : 0};
  }
};

/// Row, column and address of a place in a map; may lie outside.
struct alignas(16) Pixel {
  int64_t offset;
  int row, column;
};
inline constexpr int kOutside = -(1 << 30);

/// How a kernel's taps see a map. Along each axis the point i of a grid meets tap t at first + i step + t tap.
struct TapAxis {
  int first = 0, step = 1, tap = 1;
};
struct TapGeometry {
  int height = 0, width = 0, channels = 0;  // of the map
  TapAxis down, across;
  int points = 0;               // of the grid, in all images
  Divider image, grid_columns;  // points of an image and of a row
  int sums = 0;                 // taps times channels; taps row by row
  Divider channel, tap_columns;

  __device__ __forceinline__ int64_t offset(int64_t row, int column) const { return (row * width + column) * channels; }
  __device__ __forceinline__ Pixel pixel(int point) const {
    if (point >= points) return {0, kOutside, 0};
    const int n = image.quotient(point), in_image = point - n * image.divisor;
    const int i = grid_columns.quotient(in_image), j = in_image - i * grid_columns.divisor;
    const int row = down.first + i * down.step, column = across.first + j * across.step;
    return {offset(static_cast<int64_t>(n) * height + row, column), row, column};
  }
  /// Of the channel and tap at k: their distance from a pixel.
  __device__ __forceinline__ Pixel tap(int k) const {
    const int t = channel.quotient(k), c = k - t * channel.divisor;
    const int i = tap_columns.quotient(t), j = t - i * tap_columns.divisor;
    const int row = i * down.tap, column = j * across.tap;
    return {offset(row, column) + c, row, column};
  }
  __device__ __forceinline__ bool inside(const Pixel& pixel, const Pixel& tap) const {
    return static_cast<unsigned>(pixel.row + tap.row) < static_cast<unsigned>(height) &&
           static_cast<unsigned>(pixel.column + tap.column) < static_cast<unsigned>(width);
  }
};

/// [points of the grid, taps x channels] of a map. Along rows, the block keeps its points in shared memory: they are
/// the same in every step. Across rows, a thread keeps the tap.
template <class T, Sums kOrder>
struct PixelOperand {
  using Value = T;
  static constexpr Sums kSums = kOrder;
  static constexpr bool kHasPixels = kOrder == Sums::along_rows;
  const T* x = nullptr;
  TapGeometry taps;
  int unit = 1;
  const Pixel* pixels = nullptr;  // of the tile

  struct Column {
    Pixel tap;
    int count;
  };
  __device__ __forceinline__ void select(int) {}
  template <int kN>
  __device__ __forceinline__ Column column(int first, int k, int c) const {
    const int at = (kSums == Sums::along_rows ? k : first) + c;
    return {taps.tap(at), at < taps.sums ? kN : 0};  // a unit has channels of one tap
  }
  __device__ __forceinline__ Unit<T> unit_of(const Column& column, int, int k, int r) const {
    Pixel pixel;
    if constexpr (kHasPixels) {
      pixel = pixels[r];
    } else {
      pixel = taps.pixel(k + r);
    }
    return {x + (pixel.offset + column.tap.offset), taps.inside(pixel, column.tap) ? column.count : 0};
  }
};

/// Weights [out, kernel rows, kernel columns, in] as [taps x out, in]: of some taps, in the order of a TapGeometry
/// whose channels are `out`.
template <class T>
struct TapMatrixOperand {
  using Value = T;
  static constexpr Sums kSums = Sums::across_rows;
  static constexpr bool kHasPixels = false;
  const T* w = nullptr;
  int kernel_columns = 0, taps = 0, columns = 0, rows = 0, unit = 1;  // all taps; in; used taps times out
  TapAxis down, across;                                               // tap i of the grid is first + i step
  Divider channel, tap_columns;

  struct Column {
    int at, count;
  };
  __device__ __forceinline__ void select(int) {}
  template <int kN>
  __device__ __forceinline__ Column column(int first, int, int c) const {
    return {first + c, clamped(columns - (first + c), kN)};
  }
  __device__ __forceinline__ Unit<T> unit_of(const Column& column, int, int k, int r) const {
    const int t = channel.quotient(k + r), out = k + r - t * channel.divisor;
    const int i = tap_columns.quotient(t), j = t - i * tap_columns.divisor;
    const int tap = (down.first + i * down.step) * kernel_columns + across.first + j * across.step;
    return {w + ((static_cast<int64_t>(out) * taps + tap) * columns + column.at), k + r < rows ? column.count : 0};
  }
};

/// An operand's tile [kRows][pitch(kColumns)] in units of kN values: asynchronously, but for single bf16 values. The
/// caller commits and waits.
template <int kN, int kRows, int kColumns, int kThreads, class Operand>
__device__ __forceinline__ void load_units(const Operand& operand, int first, int k, typename Operand::Value* tile) {
  using T = typename Operand::Value;
  constexpr int kUnits = kColumns / kN, kBeside = kUnits < kThreads ? kUnits : kThreads;
  constexpr int kBelow = kThreads / kBeside, kBytes = kN * static_cast<int>(sizeof(T));
  static_assert(kUnits % kBeside == 0 && kThreads % kBeside == 0 && kRows % kBelow == 0);
  const int thread = static_cast<int>(threadIdx.x);
  for (int from = 0; from < kUnits; from += kBeside) {
    const int c = (from + thread % kBeside) * kN;
    const auto column = operand.template column<kN>(first, k, c);
    const auto load_row = [&](int r) {
      const Unit<T> unit = operand.unit_of(column, first, k, r);
      T* to = tile + r * pitch<T>(kColumns) + c;
      if constexpr (kBytes >= 4) {
        copy_async_or_zero<kBytes>(to, unit.from, unit.count * static_cast<int>(sizeof(T)));
      } else {
        *to = unit.count > 0 ? *unit.from : T{};
      }
    };
    if constexpr (kN == kVector<T>) {
      PSANET_UNROLL
      for (int i = 0; i < kRows / kBelow; ++i) load_row(i * kBelow + thread / kBeside);
    } else {
      for (int r = thread / kBeside; r < kRows; r += kBelow) load_row(r);
    }
  }
}

template <int kRows, int kColumns, int kThreads, class Operand>
__device__ __forceinline__ void load_operand(const Operand& operand, int first, int k, typename Operand::Value* tile) {
  using T = typename Operand::Value;
  constexpr int kWord = 4 / static_cast<int>(sizeof(T));
  if (operand.unit == kVector<T>) {
    load_units<kVector<T>, kRows, kColumns, kThreads>(operand, first, k, tile);
  } else if (operand.unit == kWord) {
    load_units<kWord, kRows, kColumns, kThreads>(operand, first, k, tile);
  } else if constexpr (kWord > 1) {
    load_units<1, kRows, kColumns, kThreads>(operand, first, k, tile);
  }
}

}  // namespace psanet::kernels::cuda
