// A value of the model language: what a `let`, an argument or an expression can be.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <variant>

namespace psanet::models {

/// null, true/false, an integer, a number with a fraction, or a string.
using Scalar = std::variant<std::monostate, bool, int64_t, double, std::string>;

inline bool is_null(const Scalar& value) {
  return std::holds_alternative<std::monostate>(value);
}

/// As it is written in JSON.
std::string show(const Scalar& value);

/// `where` is the JSON path for the error about a list, an object or a number that is too large.
Scalar to_scalar(const nlohmann::json& value, const std::string& where);
nlohmann::json to_json(const Scalar& value);

}  // namespace psanet::models
