// Which entry of the score map belongs to which pair of positions (SPEC 1), as runs of contiguous values.
//
// Every pair has an owner, whose score vector holds the logit, and a partner, to which the entry points. Collect: the
// target owns. Distribute: the source owns. An entry belongs to exactly one pair.
#pragma once

#include "kernels/cpu/parallel.h"
#include "kernels/psa.h"

namespace psanet::kernels::cpu {

class PsaPairs {
 public:
  explicit PsaPairs(const PsaDims& dims)
      : height_(dims.height),
        width_(dims.width),
        mask_h_(dims.mask_h),
        mask_w_(dims.mask_w),
        half_h_((dims.mask_h - 1) / 2),
        half_w_((dims.mask_w - 1) / 2),
        entries_(dims.logit_channels()),
        compact_(dims.compact) {}

  // A tile holds the logits of some pairs: one row for each position of a block, all positions along a row. Pairs
  // outside the mask have logit 0. `stride` floats from row to row, the first H*W of which are written.

  /// Tile rows are the owners in the block.
  void gather_owners(const float* logits, Range block, float* tile, int64_t stride) const {
    for (int64_t owner = block.begin; owner < block.end; ++owner, tile += stride) {
      std::fill_n(tile, height_ * width_, 0.0f);
      for_owner(owner,
                [&](Run run) { std::copy_n(logits + owner * entries_ + run.entry, run.count, tile + run.first); });
    }
  }

  /// Tile rows are the partners in the block.
  void gather_partners(const float* logits, Range block, float* tile, int64_t stride) const {
    for (int64_t r = 0; r < block.end - block.begin; ++r) std::fill_n(tile + r * stride, height_ * width_, 0.0f);
    for_partners(block, [&](int64_t owner, Run run) {
      const float* from = logits + owner * entries_ + run.entry;
      float* to = tile + (run.first - block.begin) * stride + owner;
      for (int64_t i = 0; i < run.count; ++i) to[i * stride] = from[i];
    });
  }

  /// The reverse of gather_owners; entries of these owners that no pair reads become 0.
  void scatter_owners(const float* tile, int64_t stride, Range block, float* logits) const {
    for (int64_t owner = block.begin; owner < block.end; ++owner, tile += stride) {
      std::fill_n(logits + owner * entries_, entries_, 0.0f);
      for_owner(owner,
                [&](Run run) { std::copy_n(tile + run.first, run.count, logits + owner * entries_ + run.entry); });
    }
  }

  /// The reverse of gather_partners; other entries are left alone.
  void scatter_partners(const float* tile, int64_t stride, Range block, float* logits) const {
    for_partners(block, [&](int64_t owner, Run run) {
      float* to = logits + owner * entries_ + run.entry;
      const float* from = tile + (run.first - block.begin) * stride + owner;
      for (int64_t i = 0; i < run.count; ++i) to[i] = from[i * stride];
    });
  }

 private:
  /// Partners first .. first + count - 1 of one owner, neighbours in a row of the map, and the entry of the first one.
  struct Run {
    int64_t first = 0, count = 0, entry = 0;
  };

  Run find(int64_t owner_row, int64_t owner_column, int64_t partner_row) const {
    if (compact_) return {partner_row * width_, width_, partner_row * width_};
    const int64_t mask_row = half_h_ + partner_row - owner_row;
    const int64_t begin = std::max<int64_t>(0, owner_column - half_w_);
    const int64_t end = std::min(width_, owner_column - half_w_ + mask_w_);
    if (mask_row < 0 || mask_row >= mask_h_ || begin >= end) return {};
    return {partner_row * width_ + begin, end - begin, mask_row * mask_w_ + half_w_ + begin - owner_column};
  }

  /// body(run) for all partners of one owner.
  template <class Body>
  void for_owner(int64_t owner, const Body& body) const {
    for (int64_t row = 0; row < height_; ++row) body(find(owner / width_, owner % width_, row));
  }

  /// body(owner, run) for the parts of all runs that lie in the block of partners.
  template <class Body>
  void for_partners(Range block, const Body& body) const {
    for (int64_t partner_row = block.begin / width_; partner_row * width_ < block.end; ++partner_row) {
      for (int64_t row = 0; row < height_; ++row) {
        for (int64_t column = 0; column < width_; ++column) {
          const Run run = find(row, column, partner_row);
          const int64_t begin = std::max(run.first, block.begin), end = std::min(run.first + run.count, block.end);
          if (begin < end) body(row * width_ + column, Run{begin, end - begin, run.entry + begin - run.first});
        }
      }
    }
  }

  int64_t height_, width_, mask_h_, mask_w_, half_h_, half_w_, entries_;
  bool compact_;
};

}  // namespace psanet::kernels::cpu
