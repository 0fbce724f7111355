// Matrix products of a few rows at a time, with the right-hand matrix packed once into panels that every task then
// reads: for use inside a parallel loop, on memory that is given. oneDNN's products would pack (and allocate) anew for
// every block of rows.
#pragma once

#include "kernels/cpu/lanes.h"

namespace psanet::kernels::cpu {

// The sums of kTileRows x kPanelWidth lanes, a row of the panel and one factor fill the vector registers: 32 of 16
// values, or 16 of 8 or 4 values.
#if defined(__AVX512F__)
inline constexpr int kTileRows = 8, kPanelWidth = 3;
#elif defined(__AVX__)
inline constexpr int kTileRows = 6, kPanelWidth = 1;
#else
inline constexpr int kTileRows = 3, kPanelWidth = 1;
#endif
inline constexpr int64_t kPanelColumns = kPanelWidth * kLanes;

/// A [depth, columns] matrix as panels of kPanelColumns columns (the last one narrower, but whole lanes, filled up with
/// zeros); the values of a panel are contiguous: [depth, width].
struct Panels {
  int64_t depth = 0, columns = 0;

  int64_t floats() const { return depth * whole_lanes(columns); }
  int64_t count() const { return (columns + kPanelColumns - 1) / kPanelColumns; }
  int64_t offset(int64_t panel) const { return panel * kPanelColumns * depth; }
  int64_t width(int64_t panel) const { return std::min(kPanelColumns, whole_lanes(columns) - panel * kPanelColumns); }
};

/// Packs one panel of x [depth, columns].
inline void pack_panel(const Panels& shape, int64_t panel, const float* x, float* packed) {
  const int64_t width = shape.width(panel), first = panel * kPanelColumns;
  const int64_t real = std::min(width, shape.columns - first);
  float* to = packed + shape.offset(panel);
  for (int64_t k = 0; k < shape.depth; ++k, to += width) {
    std::copy_n(x + k * shape.columns + first, real, to);
    std::fill(to + real, to + width, 0.0f);
  }
}

/// Packs one panel of the transpose of x [columns, depth].
inline void pack_panel_transposed(const Panels& shape, int64_t panel, const float* x, float* packed) {
  constexpr int64_t kBlock = 16;  // a cache line of each row of x at a time
  const int64_t width = shape.width(panel), first = panel * kPanelColumns;
  const int64_t real = std::min(width, shape.columns - first);
  float* to = packed + shape.offset(panel);
  for (int64_t k0 = 0; k0 < shape.depth; k0 += kBlock) {
    const int64_t k1 = std::min(shape.depth, k0 + kBlock);
    for (int64_t i = 0; i < width; ++i) {
      for (int64_t k = k0; k < k1; ++k) to[k * width + i] = i < real ? x[(first + i) * shape.depth + k] : 0.0f;
    }
  }
}

/// The left-hand rows and where the product goes: out [rows, columns] = factor[row] * (a [rows, depth] x panels).
struct PanelProduct {
  const float* a = nullptr;
  int64_t a_stride = 0, rows = 0;
  const float* factor = nullptr;  // [rows]
  float* out = nullptr;
  int64_t out_stride = 0;
};

/// One panel, of which [depth_begin, depth_end) is multiplied; all but the first such part are added to out.
template <int kWidth>
inline void multiply_panel(const PanelProduct& p, const float* panel, int64_t depth_begin, int64_t depth_end,
                           int64_t first_column, int64_t columns) {
  for (int64_t row = 0; row < p.rows; row += kTileRows) {
    const int64_t rows = std::min<int64_t>(kTileRows, p.rows - row);
    const float* a[kTileRows];
    // Rows that are not there are computed as copies of the last one and dropped.
    for (int r = 0; r < kTileRows; ++r) a[r] = p.a + (row + std::min<int64_t>(r, rows - 1)) * p.a_stride;
    Lanes sums[kTileRows][kWidth] = {};
    for (int64_t k = depth_begin; k < depth_end; ++k) {
      Lanes b[kWidth];
#pragma GCC unroll 8
      for (int w = 0; w < kWidth; ++w) b[w] = load(panel + (k * kWidth + w) * kLanes);
#pragma GCC unroll 8
      for (int r = 0; r < kTileRows; ++r) {
        const float factor = a[r][k];
#pragma GCC unroll 8
        for (int w = 0; w < kWidth; ++w) sums[r][w] += factor * b[w];
      }
    }
    for (int r = 0; r < kTileRows; ++r) {
      if (r >= rows) break;
      const float factor = p.factor[row + r];
      float* out = p.out + (row + r) * p.out_stride + first_column;
      for (int w = 0; w < kWidth; ++w, out += kLanes) {
        const int64_t left = columns - first_column - w * kLanes;
        Lanes result = sums[r][w] * factor;
        if (depth_begin > 0) result += left >= kLanes ? load(out) : load_some(out, left, 0.0f);
        if (left >= kLanes) {
          store(out, result);
        } else {
          store_some(out, result, left);
        }
      }
    }
  }
}

inline void multiply(const PanelProduct& product, const Panels& shape, const float* packed) {
  constexpr int64_t kDepth = 512;  // of a panel that stays in the second cache while all rows pass
  for (int64_t panel = 0; panel < shape.count(); ++panel) {
    const float* from = packed + shape.offset(panel);
    const int64_t first = panel * kPanelColumns;
    const int64_t lanes = shape.width(panel) / kLanes;
    for (int64_t k = 0; k < shape.depth; k += kDepth) {
      const int64_t end = std::min(shape.depth, k + kDepth);
      if (lanes == kPanelWidth) {
        multiply_panel<kPanelWidth>(product, from, k, end, first, shape.columns);
      } else if (lanes == 1) {
        multiply_panel<1>(product, from, k, end, first, shape.columns);
      } else {
        multiply_panel<2>(product, from, k, end, first, shape.columns);
      }
    }
  }
}

}  // namespace psanet::kernels::cpu
