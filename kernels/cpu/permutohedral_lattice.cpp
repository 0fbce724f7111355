#include "kernels/cpu/permutohedral_lattice.h"

#include <array>
#include <cmath>

#include "kernels/cpu/parallel.h"

namespace psanet::kernels::cpu {

/// The first d coordinates of a lattice vertex (the last makes their sum 0), 25 bits each.
struct LatticeKey {
  uint64_t low = 0, high = 0;

  bool operator==(const LatticeKey&) const = default;
  static LatticeKey pack(const int32_t* coordinates, int dimensions) {
    LatticeKey key;
    for (int i = 0; i < dimensions; ++i) {
      const uint64_t bits = static_cast<uint64_t>(coordinates[i] + (1 << 24)) & 0x1ffffff;
      if (i < 2) {
        key.low |= bits << (25 * i);
      } else if (i < 4) {
        key.high |= bits << (25 * (i - 2));
      } else {  // the fifth: 14 bits above each pair
        key.low |= (bits & 0x3fff) << 50;
        key.high |= (bits >> 14) << 50;
      }
    }
    return key;
  }
  void unpack(int32_t* coordinates, int dimensions) const {
    for (int i = 0; i < dimensions; ++i) {
      uint64_t bits = 0;
      if (i < 4) {
        bits = ((i < 2 ? low : high) >> (25 * (i % 2))) & 0x1ffffff;
      } else {
        bits = (low >> 50) | ((high >> 50) << 14);
      }
      coordinates[i] = static_cast<int32_t>(bits) - (1 << 24);
    }
  }
  uint64_t hash() const {
    uint64_t h = low * 0x9e3779b97f4a7c15u ^ (high + 0x7f4a7c15u) * 0xc2b2ae3d27d4eb4fu;
    h ^= h >> 32;
    return h * 0xd6e8feb86659fd93u;
  }
};

/// Vertices numbered in the order of their first appearance: open addressing, 8 bytes a slot, at most half full.
class LatticeTable {
 public:
  LatticeTable() : slots_(1 << 16) {}

  int32_t find(const LatticeKey& key) const {
    const Slot& slot = slots_[place_of(key)];
    return slot.vertex;
  }
  int32_t find_or_add(const LatticeKey& key) {
    Slot& slot = slots_[place_of(key)];
    if (slot.vertex >= 0) return slot.vertex;
    slot = {static_cast<int32_t>(keys_.size()), tag(key.hash())};
    const int32_t vertex = slot.vertex;
    keys_.push_back(key);
    if (2 * keys_.size() > slots_.size()) grow();
    return vertex;
  }
  const std::vector<LatticeKey>& keys() const { return keys_; }

 private:
  struct Slot {
    int32_t vertex = -1;
    uint32_t tag = 0;
  };
  static uint32_t tag(uint64_t hash) { return static_cast<uint32_t>(hash); }
  size_t place_of(const LatticeKey& key) const {
    const uint64_t hash = key.hash();
    size_t at = (hash >> 32) & (slots_.size() - 1);
    while (slots_[at].vertex >= 0 &&
           !(slots_[at].tag == tag(hash) && keys_[static_cast<size_t>(slots_[at].vertex)] == key)) {
      at = (at + 1) & (slots_.size() - 1);
    }
    return at;
  }
  void grow() {
    slots_.assign(2 * slots_.size(), Slot{});
    for (size_t v = 0; v < keys_.size(); ++v) {
      slots_[place_of(keys_[v])] = {static_cast<int32_t>(v), tag(keys_[v].hash())};
    }
  }

  std::vector<Slot> slots_;
  std::vector<LatticeKey> keys_;
};

PermutohedralLattice::PermutohedralLattice(const CpuContext& ctx, int dimensions, int64_t points, const float* features)
    : dimensions_(dimensions),
      corners_(dimensions + 1),
      points_(points),
      gain_(1.0f + std::ldexp(1.0f, -dimensions)),
      vertex_of_(static_cast<size_t>(points * corners_)),
      weight_of_(static_cast<size_t>(points * corners_)) {
  LatticeTable table;
  {
    std::vector<LatticeKey> keys(vertex_of_.size());
    place(ctx, features, keys);
    // Neighbouring pixels often share corners: the last pixel's answer is tried before the table.
    const auto corners = static_cast<size_t>(corners_);
    for (size_t i = 0; i < keys.size(); ++i) {
      vertex_of_[i] =
          i >= corners && keys[i] == keys[i - corners] ? vertex_of_[i - corners] : table.find_or_add(keys[i]);
    }
  }
  vertices_ = static_cast<int64_t>(table.keys().size());
  list_points_of_vertices();
  link(ctx, table);
}

/// Keys and barycentric weights of the corners of the simplex around each point (section 3 of the paper).
void PermutohedralLattice::place(const CpuContext& ctx, const float* features, std::vector<LatticeKey>& keys) {
  const int d = dimensions_;
  // Rows of the matrix that lifts features to the plane of coordinate sum 0, scaled so that the blur along all
  // directions, with the spread and the gather, has standard deviation 1.
  std::array<float, kMostDimensions> lift{};
  for (int i = 0; i < d; ++i) {
    lift[static_cast<size_t>(i)] =
        static_cast<float>(std::sqrt(2.0 / 3.0) * (d + 1) / std::sqrt(static_cast<double>((i + 1) * (i + 2))));
  }
  parallel_elements(ctx, points_, [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p) {
      const float* feature = features + p * d;
      float lifted[kMostDimensions + 1], weights[kMostDimensions + 2] = {};
      int32_t nearest[kMostDimensions + 1], rank[kMostDimensions + 1] = {};
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
        weights[d - rank[i]] += v;
        weights[d + 1 - rank[i]] -= v;
      }
      weights[0] += 1.0f + weights[d + 1];
      for (int corner = 0; corner <= d; ++corner) {
        int32_t coordinates[kMostDimensions];
        for (int i = 0; i < d; ++i) coordinates[i] = nearest[i] + corner - (rank[i] > d - corner ? d + 1 : 0);
        const auto at = static_cast<size_t>(p * corners_ + corner);
        keys[at] = LatticeKey::pack(coordinates, d);
        weight_of_[at] = weights[corner];
      }
    }
  });
}

void PermutohedralLattice::list_points_of_vertices() {
  first_of_.assign(static_cast<size_t>(vertices_) + 1, 0);
  point_of_.resize(vertex_of_.size());
  point_weight_.resize(vertex_of_.size());
  for (int32_t v : vertex_of_) ++first_of_[static_cast<size_t>(v) + 1];
  for (size_t v = 0; v < static_cast<size_t>(vertices_); ++v) first_of_[v + 1] += first_of_[v];
  std::vector<int32_t> next(first_of_.begin(), first_of_.end() - 1);
  for (size_t i = 0; i < vertex_of_.size(); ++i) {
    const auto at = static_cast<size_t>(next[static_cast<size_t>(vertex_of_[i])]++);
    point_of_[at] = static_cast<int32_t>(i / static_cast<size_t>(corners_));
    point_weight_[at] = weight_of_[i];
  }
}

void PermutohedralLattice::link(const CpuContext& ctx, const LatticeTable& table) {
  directions_.resize(static_cast<size_t>(corners_));
  // One direction at a time a thread: the table is only read.
  parallel_tasks(ctx, corners_, [&](int64_t axis, int) {
    Direction& direction = directions_[static_cast<size_t>(axis)];
    const auto count = static_cast<size_t>(vertices_);
    std::vector<int32_t> next(count);
    std::vector<uint8_t> has_previous(count, 0);
    for (size_t v = 0; v < count; ++v) {
      int32_t coordinates[kMostDimensions];
      table.keys()[v].unpack(coordinates, dimensions_);
      for (int i = 0; i < dimensions_; ++i) coordinates[i] += i == axis ? -dimensions_ : 1;
      next[v] = table.find(LatticeKey::pack(coordinates, dimensions_));
      if (next[v] >= 0) has_previous[static_cast<size_t>(next[v])] = 1;
    }
    for (size_t v = 0; v < count; ++v) {
      if (has_previous[v] || next[v] < 0) continue;
      for (auto at = static_cast<int32_t>(v); at >= 0; at = next[static_cast<size_t>(at)]) {
        direction.vertices.push_back(at);
      }
      direction.starts.push_back(static_cast<int32_t>(direction.vertices.size()));
    }
  });
}

void PermutohedralLattice::scale_points(const CpuContext& ctx, const float* factors) {
  parallel_elements(ctx, points_ * corners_, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      weight_of_[static_cast<size_t>(i)] *= factors[i / corners_];
      point_weight_[static_cast<size_t>(i)] *= factors[point_of_[static_cast<size_t>(i)]];
    }
  });
}

void PermutohedralLattice::spread_and_blur(const CpuContext& ctx, int64_t stride, const float* rows,
                                           float* lattice) const {
  constexpr int64_t kVertices = 1024, kRuns = 256;
  parallel_blocks(ctx, ceil_div(vertices_, kVertices), [&](int64_t block) {
    const Range range = block_range(block, kVertices, vertices_);
    for_chunks(stride, [&](int64_t first, auto groups) {
      for (int64_t v = range.begin; v < range.end; ++v) {
        RowChunk<groups> sum;
        for (int32_t i = first_of_[static_cast<size_t>(v)]; i < first_of_[static_cast<size_t>(v) + 1]; ++i) {
          const auto at = static_cast<size_t>(i);
          sum.add(point_weight_[at], rows + point_of_[at] * stride + first);
        }
        sum.store(lattice + v * stride + first);
      }
    });
  });
  // Along a run the value before is still in registers when it is overwritten: one read and one write a vertex.
  for (const Direction& direction : directions_) {
    const auto runs = static_cast<int64_t>(direction.starts.size()) - 1;
    parallel_blocks(ctx, ceil_div(runs, kRuns), [&](int64_t block) {
      const Range range = block_range(block, kRuns, runs);
      for_chunks(stride, [&](int64_t first, auto groups) {
        for (int64_t run = range.begin; run < range.end; ++run) {
          const int32_t begin = direction.starts[static_cast<size_t>(run)];
          const int32_t end = direction.starts[static_cast<size_t>(run) + 1];
          const auto row = [&](int32_t i) {
            return lattice + direction.vertices[static_cast<size_t>(i)] * stride + first;
          };
          RowChunk<groups> before, here = RowChunk<groups>::load(row(begin));
          for (int32_t i = begin; i < end; ++i) {
            RowChunk<groups> after, blurred;
            if (i + 1 < end) after = RowChunk<groups>::load(row(i + 1));
            for (int g = 0; g < groups; ++g) {
              blurred.groups[g] = here.groups[g] + 0.5f * (before.groups[g] + after.groups[g]);
            }
            blurred.store(row(i));
            before = here;
            here = after;
          }
        }
      });
    });
  }
}

}  // namespace psanet::kernels::cpu
