// A value of the model language: what a `let`, an argument or an expression can be.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <variant>

#include "engine/json/reader.h"

namespace psanet::models {

/// null, true/false, an integer, a number with a fraction, or a string.
using Scalar = std::variant<std::monostate, bool, int64_t, double, std::string>;

inline constexpr size_t kLongestText = 2000;  // bytes of a string, of an expression and of a name

inline bool is_null(const Scalar& value) {
  return std::holds_alternative<std::monostate>(value);
}

/// As it is written in JSON, shortened.
std::string show(const Scalar& value);

/// Fails for a list, an object, a number that is too large and a string longer than kLongestText.
Scalar to_scalar(const JsonReader& value);
nlohmann::json to_json(const Scalar& value);

}  // namespace psanet::models
