// Numbers for the vertices of a permutohedral lattice that points touch, and the points of every vertex.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/context.h"
#include "kernels/cpu/lattice_placement.h"

namespace psanet::kernels::cpu {

/// Vertices numbered in the order of their first appearance: open addressing, 8 bytes a slot, at most half full.
class LatticeTable {
 public:
  explicit LatticeTable(size_t slots = 1 << 12) : slots_(slots) {}

  /// -1 if it is not there. `hash`: of the key.
  int32_t find(const LatticeKey& key, uint64_t hash) const { return slots_[place_of(key, hash)].vertex; }
  int32_t find_or_add(const LatticeKey& key, uint64_t hash);
  /// Has the slot on its way into the cache when it is looked for.
  void prefetch(uint64_t hash) const { __builtin_prefetch(&slots_[first_place(hash)]); }
  const std::vector<LatticeKey>& keys() const { return keys_; }

 private:
  struct Slot {
    int32_t vertex = -1;
    uint32_t tag = 0;
  };
  static uint32_t tag(uint64_t hash) { return static_cast<uint32_t>(hash); }
  size_t first_place(uint64_t hash) const { return (hash >> 32) & (slots_.size() - 1); }
  size_t place_of(const LatticeKey& key, uint64_t hash) const {
    size_t at = first_place(hash);
    while (slots_[at].vertex >= 0 &&
           !(slots_[at].tag == tag(hash) && keys_[static_cast<size_t>(slots_[at].vertex)] == key)) {
      at = (at + 1) & (slots_.size() - 1);
    }
    return at;
  }
  void grow();

  std::vector<Slot> slots_;
  std::vector<LatticeKey> keys_;
};

/// Which vertices each point touches and the reverse, with the barycentric weights.
struct LatticeIncidence {
  std::vector<int32_t> vertex_of;  // [points, corners]
  std::vector<float> weight_of;    // [points, corners]
  // By vertex: point_of[first_of[v] .. first_of[v + 1]), in order of points.
  std::vector<int32_t> first_of, point_of;
  std::vector<float> point_weight;
};

/// Places `features` [points, dimensions] and numbers the vertices, in the order in which points first touch them for
/// any number of threads. `table` must be empty.
LatticeIncidence number_vertices(const CpuContext& ctx, int dimensions, int64_t points, const float* features,
                                 LatticeTable& table);

}  // namespace psanet::kernels::cpu
