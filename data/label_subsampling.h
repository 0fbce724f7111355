// Labels at the resolution of a network's map.
#pragma once

#include <cstdint>

namespace psanet::data {

struct LabelSize {
  std::int64_t height = 0, width = 0;  // pixels
  bool operator==(const LabelSize&) const = default;
};

/// to [count, out.height, out.width] takes the nearest label of from [count, in.height, in.width], corners aligned: for
/// (in - 1) a multiple of (out - 1), as 465 and 59, every eighth pixel. Labels are never mixed: official PyTorch code
/// resizes them bilinearly and cuts off the fraction, which makes classes out of nothing.
void subsample_labels(std::int64_t count, const LabelSize& in, const std::uint8_t* from, const LabelSize& out,
                      std::uint8_t* to);

}  // namespace psanet::data
