// Gaussian filtering in a space of few dimensions on the permutohedral lattice (Adams, Baek & Davis 2010): values are
// spread to the corners of the simplex around each point, blurred along the lattice's d + 1 directions, and gathered.
#pragma once

#include <memory>
#include <vector>

#include "kernels/context.h"
#include "kernels/cpu/lane_rows.h"
#include "kernels/cpu/lattice_numbering.h"

namespace psanet::kernels::cpu {

class PermutohedralLattice {
 public:
  /// Features may be at most this many standard deviations from 0: keys and float32 positions stay exact enough.
  static constexpr double kLargestFeature = 1e5;

  /// `features` [points, dimensions], in standard deviations.
  PermutohedralLattice(const CpuContext& ctx, int dimensions, int64_t points, const float* features);

  int corners() const { return corners_; }
  /// Bytes for each corner of each point, at the most: if no two corners are one vertex and all have neighbours.
  static constexpr int64_t most_bytes(int64_t corners) { return 20 + 6 * corners; }
  /// ... while it is built: chunks' own keys and numbers (28), the table and its keys while they grow (96), the
  /// incidence; later all directions' neighbours.
  static constexpr int64_t most_bytes_to_build(int64_t corners) { return std::max<int64_t>(150, 90 + 10 * corners); }
  int64_t vertices() const { return vertices_; }

  /// Multiplies each point's weights by factors[point]: what it gives to the lattice and takes from it.
  void scale_points(const CpuContext& ctx, const float* factors);

  /// rows [points, stride] -> lattice [vertices, stride], spread and blurred. `stride`: whole groups.
  void spread_and_blur(const CpuContext& ctx, int64_t stride, const float* rows, float* lattice) const;

  /// sum += scale * the filtered row of `point`, one chunk of it; `lattice` already points at the chunk.
  template <int Groups>
  [[gnu::always_inline]] void gather(int64_t point, float scale, int64_t stride, const float* lattice,
                                     RowChunk<Groups>& sum) const {
    const int32_t* vertex = on_.vertex_of.data() + point * corners_;
    const float* weight = on_.weight_of.data() + point * corners_;
    for (int c = 0; c < corners_; ++c) sum.add(scale * weight[c], lattice + vertex[c] * stride);
  }

  /// What the blur's gain of 2 per direction leaves to divide by.
  float gain() const { return gain_; }

 private:
  /// Runs of vertices that are neighbours in one direction, two or more in a run. Lone vertices are not blurred.
  struct Direction {
    std::vector<int32_t> vertices;
    std::vector<int32_t> starts = {0};
  };
  void link(const CpuContext& ctx, const LatticeTable& table);

  int corners_;
  int64_t points_, vertices_ = 0;
  float gain_;
  LatticeIncidence on_;
  std::vector<Direction> directions_;
};

}  // namespace psanet::kernels::cpu
