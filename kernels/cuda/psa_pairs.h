// What kernels that walk over pairs of positions share. For .cu files only.
#pragma once

#include "kernels/cuda/device.h"
#include "kernels/cuda/psa_passes.h"

namespace psanet::kernels::cuda {

inline constexpr float kLog2E = 1.4426950408889634f;

__device__ __forceinline__ float weight_of(const Target& target, float score) {
  return exp2_fast((score - target.largest) * kLog2E) * target.inverse_sum;
}

/// One side of pairs, ready for use: where its part of the address is, and the softmax if it is a target.
struct Owner {
  int64_t offset;
  Place place;
  Target target;
};
struct Partner {
  int offset;
  Place place;
  Target target;
};

/// `targets` of the image; null if it is not the targets that own, or if there is no softmax.
__device__ __forceinline__ Owner owner_at(const ScoreView& view, int position, const Target* targets) {
  if (position >= view.height * view.width) return {0, {-kNowhere, 0}, {}};
  const Place place = view.place(position);
  return {view.owner_offset(place), place, targets ? targets[position] : Target{}};
}
__device__ __forceinline__ Partner partner_at(const ScoreView& view, int position, const Target* targets) {
  if (position >= view.height * view.width) return {0, {kNowhere, 0}, {}};
  const Place place = view.place(position);
  return {view.partner_offset(place), place, targets ? targets[position] : Target{}};
}

/// Map rows first.. last of positions begin .. end - 1.
__device__ __forceinline__ Span rows_of(const ScoreView& view, int begin, int end) {
  const int positions = view.height * view.width;
  return {view.place(begin).row, view.place((end < positions ? end : positions) - 1).row};
}

}  // namespace psanet::kernels::cuda
