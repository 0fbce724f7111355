// What shape rules say when they refuse.
#pragma once

#include <fmt/format.h>

#include "engine/error.h"
#include "engine/op.h"

namespace psanet::layers {

/// Throws ConfigError with the formatted message unless `holds`.
template <class... Args>
void require(bool holds, fmt::format_string<Args...> message, Args&&... args) {
  if (!holds) throw ConfigError(fmt::format(message, std::forward<Args>(args)...));
}

inline void require_inputs(const Types& in, size_t count) {
  require(in.size() == count, "has {} inputs, want {}", in.size(), count);
}

inline void require_rank(const Type& type, int64_t rank, const char* what) {
  require(type.rank() == rank, "{} is {}, want {} axes", what, to_string(type), rank);
}

inline void require_image(const Type& type, const char* what) {
  require(type.rank() == 4 && is_float(type.dtype), "{} is {}, want f32 or bf16 [N,H,W,C]", what, to_string(type));
}

inline void require_channels(const Type& type, int64_t channels, const char* what) {
  require(type == f32({channels}), "{} is {}, want f32[{}]", what, to_string(type), channels);
}

inline void require_same(const Type& a, const Type& b, const char* what) {
  require(a == b, "{}: {} and {} differ", what, to_string(a), to_string(b));
}

/// Rows of a tensor whose last axis is channels.
inline int64_t rows(const Type& type) {
  return type[-1] == 0 ? 0 : type.elements() / type[-1];
}

}  // namespace psanet::layers
