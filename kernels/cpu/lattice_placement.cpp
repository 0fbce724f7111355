// This file is compiled without fused multiplication and addition (kernels/CMakeLists.txt): positions and weights then
// have the roundings of the implementation that made the reference numbers.
#include "kernels/cpu/lattice_placement.h"

#include <array>
#include <cmath>

namespace psanet::kernels::cpu {

void place_on_lattice(int dimensions, int64_t points, const float* features, LatticeKey* keys, float* weights) {
  const int d = dimensions;
  // Rows of the matrix that lifts features to the plane of coordinate sum 0, scaled so that the blur along all
  // directions, with the spread and the gather, has standard deviation 1. The factor they share is rounded to float32
  // before it is multiplied, as in the implementation that made the reference numbers: one unit in the last place of
  // a position far from the origin is 1e-5 of a weight, and ten iterations make 1e-4 of it.
  const auto width = static_cast<float>(std::sqrt(2.0 / 3.0) * (d + 1));
  std::array<float, kMostLatticeDimensions> lift{};
  for (int i = 0; i < d; ++i) {
    lift[static_cast<size_t>(i)] =
        static_cast<float>(1.0 / std::sqrt(static_cast<double>((i + 1) * (i + 2))) * static_cast<double>(width));
  }
  for (int64_t p = 0; p < points; ++p) {
    const float* feature = features + p * d;
    float lifted[kMostLatticeDimensions + 1], barycentric[kMostLatticeDimensions + 2] = {};
    int32_t nearest[kMostLatticeDimensions + 1], rank[kMostLatticeDimensions + 1] = {};
    float sum = 0;
    for (int i = d; i > 0; --i) {
      const float f = feature[i - 1] * lift[static_cast<size_t>(i - 1)];
      lifted[i] = sum - static_cast<float>(i) * f;
      sum += f;
    }
    lifted[0] = sum;

    // The nearest point whose coordinates are all multiples of d + 1, and the order of the differences.
    const float inverse = 1.0f / static_cast<float>(d + 1);
    int32_t excess = 0;
    for (int i = 0; i <= d; ++i) {
      const auto rounded = static_cast<int32_t>(std::nearbyint(lifted[i] * inverse));
      nearest[i] = rounded * (d + 1);
      excess += rounded;
    }
    for (int i = 0; i < d; ++i) {
      const float difference = lifted[i] - static_cast<float>(nearest[i]);
      for (int j = i + 1; j <= d; ++j) {
        ++rank[difference < lifted[j] - static_cast<float>(nearest[j]) ? i : j];
      }
    }
    for (int i = 0; i <= d; ++i) {  // back to the plane of sum 0
      rank[i] += excess;
      const int32_t turn = rank[i] < 0 ? d + 1 : (rank[i] > d ? -(d + 1) : 0);
      rank[i] += turn;
      nearest[i] += turn;
    }

    for (int i = 0; i <= d; ++i) {
      const float v = (lifted[i] - static_cast<float>(nearest[i])) * inverse;
      barycentric[d - rank[i]] += v;
      barycentric[d + 1 - rank[i]] -= v;
    }
    barycentric[0] += 1.0f + barycentric[d + 1];
    for (int corner = 0; corner <= d; ++corner) {
      int32_t coordinates[kMostLatticeDimensions];
      for (int i = 0; i < d; ++i) coordinates[i] = nearest[i] + corner - (rank[i] > d - corner ? d + 1 : 0);
      const int64_t at = p * (d + 1) + corner;
      keys[at] = LatticeKey::pack(coordinates, d);
      weights[at] = barycentric[corner];
    }
  }
}

}  // namespace psanet::kernels::cpu
