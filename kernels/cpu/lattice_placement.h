// Where points lie on the permutohedral lattice: the corners of the simplex around each point, and their weights.
#pragma once

#include <cstdint>

namespace psanet::kernels::cpu {

inline constexpr int kMostLatticeDimensions = 5;

/// The first d coordinates of a lattice vertex (the last makes their sum 0), 21 bits each above -2^20. Keys add like
/// coordinates, so a neighbour's key is one addition away.
struct LatticeKey {
  uint64_t low = 0, high = 0;

  bool operator==(const LatticeKey&) const = default;
  /// A vertex, from its d coordinates.
  static LatticeKey pack(const int32_t* coordinates, int dimensions) {
    LatticeKey key;
    for (int i = 0; i < dimensions; ++i) key.add(i, coordinates[i] + (1 << 20));
    return key;
  }
  /// What leads from any vertex to the next one of direction `axis` (0 .. d).
  static LatticeKey step(int axis, int dimensions) {
    LatticeKey key;
    for (int i = 0; i < dimensions; ++i) key.add(i, i == axis ? -dimensions : 1);
    return key;
  }
  LatticeKey operator+(const LatticeKey& step) const { return {low + step.low, high + step.high}; }
  uint64_t hash() const {
    uint64_t h = low * 0x9e3779b97f4a7c15u ^ (high + 0x7f4a7c15u) * 0xc2b2ae3d27d4eb4fu;
    h ^= h >> 32;
    return h * 0xd6e8feb86659fd93u;
  }

 private:
  void add(int i, int64_t value) { (i < 3 ? low : high) += static_cast<uint64_t>(value) << (21 * (i % 3)); }
};

/// features [points, dimensions], in standard deviations -> keys and barycentric weights [points, dimensions + 1]
/// (Adams, Baek & Davis 2010, section 3).
void place_on_lattice(int dimensions, int64_t points, const float* features, LatticeKey* keys, float* weights);

}  // namespace psanet::kernels::cpu
