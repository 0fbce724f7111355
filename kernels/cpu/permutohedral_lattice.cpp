#include "kernels/cpu/permutohedral_lattice.h"

#include <cmath>

#include "kernels/cpu/parallel.h"

namespace psanet::kernels::cpu {

PermutohedralLattice::PermutohedralLattice(const CpuContext& ctx, int dimensions, int64_t points, const float* features)
    : corners_(dimensions + 1), points_(points), gain_(1.0f + std::ldexp(1.0f, -dimensions)) {
  LatticeTable table;
  on_ = number_vertices(ctx, dimensions, points, features, table);
  vertices_ = static_cast<int64_t>(table.keys().size());
  link(ctx, table);
}

void PermutohedralLattice::link(const CpuContext& ctx, const LatticeTable& table) {
  constexpr int64_t kVertices = 16384;
  const auto count = static_cast<size_t>(vertices_);
  std::vector<std::vector<int32_t>> nexts(static_cast<size_t>(corners_));  // [vertices] of each direction
  for (std::vector<int32_t>& next : nexts) next.resize(count);
  const int64_t blocks = ceil_div(vertices_, kVertices);
  parallel_tasks(ctx, blocks * corners_, [&](int64_t task, int) {
    const auto axis = static_cast<int>(task / blocks);
    const Range range = block_range(task % blocks, kVertices, vertices_);
    const LatticeKey step = LatticeKey::step(axis, corners_ - 1);
    int32_t* next = nexts[static_cast<size_t>(axis)].data();
    constexpr int64_t kAtOnce = 16;  // slots fetched from memory together
    for (int64_t first = range.begin; first < range.end; first += kAtOnce) {
      const int64_t some = std::min(kAtOnce, range.end - first);
      LatticeKey keys[kAtOnce];
      uint64_t hashes[kAtOnce];
      for (int64_t i = 0; i < some; ++i) {
        keys[i] = table.keys()[static_cast<size_t>(first + i)] + step;
        hashes[i] = keys[i].hash();
        table.prefetch(hashes[i]);
      }
      for (int64_t i = 0; i < some; ++i) next[first + i] = table.find(keys[i], hashes[i]);
    }
  });

  directions_.resize(static_cast<size_t>(corners_));
  parallel_tasks(ctx, corners_, [&](int64_t axis, int) {
    Direction& direction = directions_[static_cast<size_t>(axis)];
    std::vector<int32_t>& next = nexts[static_cast<size_t>(axis)];
    std::vector<uint8_t> has_previous(count, 0);
    for (const int32_t after : next) {
      if (after >= 0) has_previous[static_cast<size_t>(after)] = 1;
    }
    size_t members = 0, runs = 0;
    for (size_t v = 0; v < count; ++v) {
      members += has_previous[v] || next[v] >= 0;
      runs += !has_previous[v] && next[v] >= 0;
    }
    direction.vertices.reserve(members);
    direction.starts.reserve(runs + 1);
    for (size_t v = 0; v < count; ++v) {
      if (has_previous[v] || next[v] < 0) continue;
      for (auto at = static_cast<int32_t>(v); at >= 0; at = next[static_cast<size_t>(at)]) {
        direction.vertices.push_back(at);
      }
      direction.starts.push_back(static_cast<int32_t>(direction.vertices.size()));
    }
    next = {};
  });
}

void PermutohedralLattice::scale_points(const CpuContext& ctx, const float* factors) {
  parallel_elements(ctx, points_ * corners_, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      on_.weight_of[static_cast<size_t>(i)] *= factors[i / corners_];
      on_.point_weight[static_cast<size_t>(i)] *= factors[on_.point_of[static_cast<size_t>(i)]];
    }
  });
}

void PermutohedralLattice::spread_and_blur(const CpuContext& ctx, int64_t stride, const float* rows,
                                           float* lattice) const {
  constexpr int64_t kVertices = 1024, kRuns = 256;
  constexpr int32_t kAhead = 8;  // rows of a run, and of the next, fetched from memory before they are needed
  parallel_blocks(ctx, ceil_div(vertices_, kVertices), [&](int64_t block) {
    const Range range = block_range(block, kVertices, vertices_);
    for_chunks(stride, [&](int64_t first, auto groups) {
      for (int64_t v = range.begin; v < range.end; ++v) {
        RowChunk<groups> sum;
        for (int32_t i = on_.first_of[static_cast<size_t>(v)]; i < on_.first_of[static_cast<size_t>(v) + 1]; ++i) {
          const auto at = static_cast<size_t>(i);
          sum.add(on_.point_weight[at], rows + on_.point_of[at] * stride + first);
        }
        sum.store(lattice + v * stride + first);
      }
    });
  });
  // Along a run the value before is still in registers when it is overwritten: one read and one write a vertex.
  for (const Direction& direction : directions_) {
    const auto runs = static_cast<int64_t>(direction.starts.size()) - 1;
    const auto last = static_cast<int32_t>(direction.vertices.size()) - 1;
    parallel_blocks(ctx, ceil_div(runs, kRuns), [&](int64_t block) {
      const Range range = block_range(block, kRuns, runs);
      for_chunks(stride, [&](int64_t first, auto groups) {
        for (int64_t run = range.begin; run < range.end; ++run) {
          const int32_t begin = direction.starts[static_cast<size_t>(run)];
          const int32_t end = direction.starts[static_cast<size_t>(run) + 1];
          const auto row = [&](int32_t i) {
            return lattice + direction.vertices[static_cast<size_t>(i)] * stride + first;
          };
          const auto row_prefetch = [&](int32_t i) { RowChunk<groups>::prefetch(row(std::min(i, last))); };
          RowChunk<groups> before, here = RowChunk<groups>::load(row(begin));
          for (int32_t i = begin; i < end; ++i) {
            row_prefetch(i + kAhead);
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
