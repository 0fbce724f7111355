// The table of all ops: for tests that must see every one, and for building one from its name and attributes.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>

#include "engine/op.h"

namespace psanet::layers {

struct OpEntry {
  const char* name;
  bool has_gradient;
  Op (*make)(const nlohmann::json& attributes);  // ConfigError for unknown attributes
};

std::span<const OpEntry> all_ops();

/// ConfigError that names the nearest op if there is none of that name.
Op make_op(const std::string& name, const nlohmann::json& attributes);

}  // namespace psanet::layers
