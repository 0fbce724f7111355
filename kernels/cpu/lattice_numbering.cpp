#include "kernels/cpu/lattice_numbering.h"

#include "kernels/cpu/parallel.h"

namespace psanet::kernels::cpu {

int32_t LatticeTable::find_or_add(const LatticeKey& key, uint64_t hash) {
  Slot& slot = slots_[place_of(key, hash)];
  if (slot.vertex >= 0) return slot.vertex;
  const auto vertex = static_cast<int32_t>(keys_.size());
  slot = {vertex, tag(hash)};
  keys_.push_back(key);
  if (2 * keys_.size() > slots_.size()) grow();
  return vertex;
}

void LatticeTable::grow() {
  slots_.assign(2 * slots_.size(), Slot{});
  for (size_t v = 0; v < keys_.size(); ++v) {
    const uint64_t hash = keys_[v].hash();
    slots_[place_of(keys_[v], hash)] = {static_cast<int32_t>(v), tag(hash)};
  }
}

namespace {

/// Points that are numbered by one thread, with numbers of their own at first.
struct Chunk {
  std::vector<LatticeKey> keys;   // of the chunk's vertices
  std::vector<int32_t> vertices;  // their final numbers
  std::vector<int32_t> next;      // how many corners each has; then where its next corner goes in the vertex's list
};

}  // namespace

LatticeIncidence number_vertices(const CpuContext& ctx, int dimensions, int64_t points, const float* features,
                                 LatticeTable& table) {
  constexpr int64_t kPoints = 8192;
  const int64_t corners = dimensions + 1;
  const auto entries = static_cast<size_t>(points * corners);
  LatticeIncidence all;
  all.vertex_of.resize(entries);
  all.weight_of.resize(entries);
  std::vector<Chunk> chunks(static_cast<size_t>(ceil_div(points, kPoints)));
  const auto count = static_cast<int64_t>(chunks.size());
  parallel_tasks(ctx, count, [&](int64_t index, int) {
    const Range range = block_range(index, kPoints, points);
    Chunk& chunk = chunks[static_cast<size_t>(index)];
    std::vector<LatticeKey> keys(static_cast<size_t>((range.end - range.begin) * corners));
    place_on_lattice(dimensions, range.end - range.begin, features + range.begin * dimensions, keys.data(),
                     all.weight_of.data() + range.begin * corners);
    LatticeTable own;
    int32_t* vertex_of = all.vertex_of.data() + range.begin * corners;
    for (size_t i = 0; i < keys.size(); ++i) {
      // Neighbouring pixels often share corners: the last pixel's answer is tried before the table.
      const auto before = i - static_cast<size_t>(corners);
      const bool same = i >= static_cast<size_t>(corners) && keys[i] == keys[before];
      vertex_of[i] = same ? vertex_of[before] : own.find_or_add(keys[i], keys[i].hash());
      if (static_cast<size_t>(vertex_of[i]) == chunk.next.size()) chunk.next.push_back(0);
      ++chunk.next[static_cast<size_t>(vertex_of[i])];
    }
    chunk.keys = own.keys();
    chunk.vertices.resize(chunk.keys.size());
  });

  // Chunk by chunk, each in order of first appearance: so are all.
  std::vector<int32_t> corners_of;  // [vertices] of the chunks so far
  for (Chunk& chunk : chunks) {
    constexpr size_t kAhead = 16;
    uint64_t hashes[kAhead];
    const size_t vertices = chunk.keys.size();
    for (size_t i = 0; i < vertices + kAhead; ++i) {
      if (i >= kAhead) {
        const size_t now = i - kAhead;
        const auto v = static_cast<size_t>(table.find_or_add(chunk.keys[now], hashes[now % kAhead]));
        if (v == corners_of.size()) corners_of.push_back(0);
        chunk.vertices[now] = static_cast<int32_t>(v);
        std::swap(corners_of[v], chunk.next[now]);
        corners_of[v] += chunk.next[now];
      }
      if (i < vertices) {
        hashes[i % kAhead] = chunk.keys[i].hash();
        table.prefetch(hashes[i % kAhead]);
      }
    }
    chunk.keys = {};
  }

  all.first_of.resize(corners_of.size() + 1);
  for (size_t v = 0; v < corners_of.size(); ++v) all.first_of[v + 1] = all.first_of[v] + corners_of[v];
  all.point_of.resize(entries);
  all.point_weight.resize(entries);
  parallel_tasks(ctx, count, [&](int64_t index, int) {
    Chunk& chunk = chunks[static_cast<size_t>(index)];
    const Range range = block_range(index, kPoints, points);
    for (int64_t p = range.begin; p < range.end; ++p) {
      for (int64_t c = 0; c < corners; ++c) {
        const auto i = static_cast<size_t>(p * corners + c);
        const auto local = static_cast<size_t>(all.vertex_of[i]);
        const int32_t vertex = chunk.vertices[local];
        const auto at = static_cast<size_t>(all.first_of[static_cast<size_t>(vertex)] + chunk.next[local]++);
        all.vertex_of[i] = vertex;
        all.point_of[at] = static_cast<int32_t>(p);
        all.point_weight[at] = all.weight_of[i];
      }
    }
  });
  return all;
}

}  // namespace psanet::kernels::cpu
