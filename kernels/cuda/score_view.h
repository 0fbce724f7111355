// Where the score of a pair of positions lies (SPEC 1). Every pair has an owner, whose score vector holds the score,
// and a partner, to which the entry points. The address is linear in both: the owner's part plus the partner's part,
// and the scores of one owner with neighbouring partners are neighbours in memory. So kernels read the over-complete
// map as it is, and neither a gathered copy nor an index table exists.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/cuda/portable.h"
#include "kernels/psa.h"

namespace psanet::kernels::cuda {

/// A position of the map.
struct Place {
  int row, column;
};

/// begin .. end - 1.
struct Span {
  int begin, end;

  __device__ __forceinline__ int count() const { return end > begin ? end - begin : 0; }
};

/// Division by a number that is the same for all threads; exact while dividend * divisor < 2^32.
struct Reciprocal {
  int divisor = 1;
  unsigned factor = 0;  // 2^32 / divisor, rounded up; unused for 1

  static Reciprocal of(int64_t divisor) {
    return {static_cast<int>(divisor),
            divisor > 1 ? static_cast<unsigned>(((int64_t{1} << 32) + divisor - 1) / divisor) : 0};
  }
  __device__ __forceinline__ int quotient(int dividend) const {
    return divisor == 1 ? dividend : static_cast<int>(__umulhi(static_cast<unsigned>(dividend), factor));
  }
};

struct ScoreView {
  int height = 0, width = 0;
  int mask_h = 0, mask_w = 0, half_h = 0, half_w = 0;  // a window larger than the map where everything is stored
  int64_t image = 0, first = 0, owner_row = 0, owner_column = 0;  // distances, in values
  int partner_row = 0;
  // Of the mask rows above all map rows at most so many are not stored: as many as rows of owners in a group, counted
  // from the last row of the map, have in common.
  int rows_left_out = 0;
  int entries = 0;                          // that an owner has in memory, if not each belongs to a pair
  Reciprocal group, columns, mask_columns;  // rows of owners in a group; columns of the map; columns of the mask

  int positions() const { return height * width; }
  /// Does every pair have a score?
  bool whole() const {
    return half_h >= height - 1 && mask_h - half_h >= height && half_w >= width - 1 && mask_w - half_w >= width;
  }

  __device__ __forceinline__ Place place(int position) const {
    const int row = columns.quotient(position);
    return {row, position - row * width};
  }
  /// Is there a score for the pair?
  __device__ __forceinline__ bool inside(Place owner, Place partner) const {
    return static_cast<unsigned>(partner.row - owner.row + half_h) < static_cast<unsigned>(mask_h) &&
           static_cast<unsigned>(partner.column - owner.column + half_w) < static_cast<unsigned>(mask_w);
  }
  /// The first mask row that is stored for the owners in this row of the map.
  __device__ __forceinline__ int first_mask_row(int row_of_owner) const {
    const int last_row =
        height - 1 - group.quotient(height - 1 - row_of_owner) * group.divisor;  // of the owner's group
    const int above = half_h > last_row ? half_h - last_row : 0;
    return above < rows_left_out ? above : rows_left_out;
  }
  /// The score of a pair lies at owner_offset + partner_offset, counted from its image.
  __device__ __forceinline__ int64_t owner_offset(Place owner) const {
    return first + owner.row * owner_row + owner.column * owner_column -
           static_cast<int64_t>(first_mask_row(owner.row)) * partner_row;
  }
  __device__ __forceinline__ int partner_offset(Place partner) const {
    return partner.row * partner_row + partner.column;
  }

  /// Rows (columns) of all partners of the owners in rows (columns) first .. last; and the reverse.
  __device__ __forceinline__ Span partner_rows(int first_row, int last_row) const {
    return clipped(first_row - half_h, last_row - half_h + mask_h, height);
  }
  __device__ __forceinline__ Span partner_columns(int first_column, int last_column) const {
    return clipped(first_column - half_w, last_column - half_w + mask_w, width);
  }
  __device__ __forceinline__ Span owner_rows(int first_row, int last_row) const {
    return clipped(first_row + half_h - mask_h + 1, last_row + half_h + 1, height);
  }
  __device__ __forceinline__ Span owner_columns(int first_column, int last_column) const {
    return clipped(first_column + half_w - mask_w + 1, last_column + half_w + 1, width);
  }

 private:
  __device__ __forceinline__ static Span clipped(int begin, int end, int size) {
    return {begin > 0 ? begin : 0, end < size ? end : size};
  }
};

/// A place that has no partner and no owner.
inline constexpr int kNowhere = 1 << 28;

namespace score_view {

inline ScoreView of_map(const PsaDims& d) {
  ScoreView v;
  v.height = static_cast<int>(d.height);
  v.width = static_cast<int>(d.width);
  v.mask_h = static_cast<int>(d.compact ? 2 * d.height - 1 : d.mask_h);
  v.mask_w = static_cast<int>(d.compact ? 2 * d.width - 1 : d.mask_w);
  v.half_h = (v.mask_h - 1) / 2;
  v.half_w = (v.mask_w - 1) / 2;
  v.columns = Reciprocal::of(d.width);
  v.mask_columns = Reciprocal::of(v.mask_w);
  return v;
}

}  // namespace score_view

/// Of logits [N,H,W,logit_channels].
inline ScoreView view_of_logits(const PsaDims& d) {
  ScoreView v = score_view::of_map(d);
  const int64_t entries = d.logit_channels();
  v.image = d.positions() * entries;
  if (d.compact) {
    v.owner_row = d.width * entries;
    v.owner_column = entries;
    v.partner_row = v.width;
  } else {
    v.first = v.half_h * d.mask_w + v.half_w;
    v.owner_row = d.width * entries - d.mask_w;
    v.owner_column = entries - 1;
    v.partner_row = v.mask_w;
    v.entries = static_cast<int>(entries);
  }
  return v;
}

}  // namespace psanet::kernels::cuda
