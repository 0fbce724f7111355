// A value of the model language: what a `let`, an argument or an expression can be.
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <variant>

#include "engine/json/reader.h"

namespace psanet::models {

/// null, true/false, an integer, a number with a fraction, or a string.
using Scalar = std::variant<std::nullptr_t, bool, int64_t, double, std::string>;

inline constexpr size_t kLongestText = 2000;  // bytes of a string, of an expression and of a name

inline bool is_null(const Scalar& value) {
  return std::holds_alternative<std::nullptr_t>(value);
}

/// Of words, such as names that `$name` can reach.
inline bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/// As it is written in JSON, shortened.
std::string show(const Scalar& value);

/// Fails for a list, an object, a number that is too large and a string longer than kLongestText.
Scalar to_scalar(const JsonReader& value);
nlohmann::json to_json(const Scalar& value);

}  // namespace psanet::models
