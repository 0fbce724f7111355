// JSON in which expressions may stand.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "models/expression.h"

namespace psanet::models {

/// `value`, or every item of a list, with its expression evaluated; `where` is its JSON path. Throws ConfigError.
nlohmann::json resolved(const nlohmann::json& value, const std::string& where, const Scope& scope);

}  // namespace psanet::models
