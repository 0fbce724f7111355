// Into how many parts the sums of a matrix product are split, so that there are blocks for the whole GPU.
#pragma once

#include <cstdint>

namespace psanet::kernels::cuda {

/// `count` parts of `steps` steps each, the last perhaps of fewer. The parts' sums are added in the order of the parts.
struct SplitK {
  int count = 1, steps = 0;
};

/// The split that promises the shortest time. tiles: blocks without a split; steps: of a whole sum; results: values
/// whose partial sums go through memory.
SplitK split_k(int64_t tiles, int64_t steps, int64_t results, int multiprocessors);

}  // namespace psanet::kernels::cuda
