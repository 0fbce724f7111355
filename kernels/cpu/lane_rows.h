// Rows of class values padded to whole groups of eight floats, worked on in register-sized chunks of at most four
// groups.
#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>

namespace psanet::kernels::cpu {

inline constexpr int64_t kGroup = 8;
typedef float Group __attribute__((vector_size(32)));
typedef float GroupInMemory __attribute__((vector_size(32), aligned(4), may_alias));

constexpr int64_t whole_groups(int64_t count) {
  return (count + kGroup - 1) / kGroup * kGroup;
}

/// `Groups` registers of a row.
template <int Groups>
struct RowChunk {
  Group groups[Groups] = {};

  [[gnu::always_inline]] static RowChunk load(const float* from) {
    RowChunk row;
    for (int g = 0; g < Groups; ++g) row.groups[g] = *reinterpret_cast<const GroupInMemory*>(from + g * kGroup);
    return row;
  }
  /// Has the chunk on its way into the cache when it is loaded.
  [[gnu::always_inline]] static void prefetch(const float* from) {
    for (int g = 0; g < Groups; g += 2) __builtin_prefetch(from + g * kGroup);  // a cache line is two groups
  }
  [[gnu::always_inline]] void store(float* to) const {
    for (int g = 0; g < Groups; ++g) *reinterpret_cast<GroupInMemory*>(to + g * kGroup) = groups[g];
  }
  [[gnu::always_inline]] void add(float weight, const float* from) {
    for (int g = 0; g < Groups; ++g) groups[g] += weight * *reinterpret_cast<const GroupInMemory*>(from + g * kGroup);
  }
};

/// body(first, std::integral_constant<int, groups>) for each chunk of a row of `stride` floats.
template <class Body>
[[gnu::always_inline]] inline void for_chunks(int64_t stride, const Body& body) {
  for (int64_t first = 0; first < stride; first += 4 * kGroup) {
    switch (std::min<int64_t>(4, (stride - first) / kGroup)) {
      case 1:
        body(first, std::integral_constant<int, 1>());
        break;
      case 2:
        body(first, std::integral_constant<int, 2>());
        break;
      case 3:
        body(first, std::integral_constant<int, 3>());
        break;
      default:
        body(first, std::integral_constant<int, 4>());
    }
  }
}

}  // namespace psanet::kernels::cpu
