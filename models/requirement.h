// What a model wants of its `let`s.
#pragma once

#include "models/model_source.h"

namespace psanet::models {

/// Throws a ConfigError for the first requirement that does not hold: the JSON path of the `let`, what was found, what
/// is wanted, and values that would do.
void check_requirements(const ModelSource& source);

}  // namespace psanet::models
