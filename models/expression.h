// The expressions of the model language: strings with a `$`, as in "($crop_h - 1) / 8 + 1".
//
// From loosest to tightest: `a ?? b` (b if a is null), `||`, `&&`, comparisons, `+ -`, `* / // %`, unary `-`, `min(a,
// b)`, `max(a, b)`, parentheses. Arithmetic is in 64-bit integers: `/` must divide exactly, `//` and `%` round down.
// Comparisons also take numbers with a fraction; `==` and `!=` take anything.
#pragma once

#include <string>

#include "models/scalar.h"

namespace psanet::models {

class Names;

/// A string that has to be evaluated.
bool is_expression(const std::string& text);

/// The value of an expression. A ConfigError names `where` (the JSON path), the expression, the values of the names in
/// it and what is wrong.
Scalar evaluate(const std::string& text, const std::string& where, const Names& names);

/// JSON in which expressions may stand: `value`, or every item of a list, with its expression evaluated.
nlohmann::json resolved(const JsonReader& value, const Names& names);

/// `text` with every {expression} replaced by its value: "block{$index + 1}".
std::string fill_in(const std::string& text, const std::string& where, const Names& names);

}  // namespace psanet::models
