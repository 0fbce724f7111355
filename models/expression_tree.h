// A parsed expression. Parsing and evaluation are apart so that the side of `??`, `&&` and `||` that does not count is
// not evaluated: "$shrink >= 1 && $size % $shrink == 0" must not divide by zero.
#pragma once

#include <memory>
#include <stdexcept>
#include <string>

#include "models/scalar.h"

namespace psanet::models {

/// What is wrong with an expression, without where it stands; evaluate() adds that.
struct ExpressionProblem : std::runtime_error {
  using std::runtime_error::runtime_error;
};

enum class Operator {
  literal,
  name,
  negate,
  add,
  subtract,
  multiply,
  divide,
  floor_divide,
  modulo,
  minimum,
  maximum,
  equal,
  not_equal,
  less,
  less_equal,
  greater,
  greater_equal,
  logical_and,
  logical_or,
  otherwise  // ??
};

struct ExpressionTree {
  Operator op = Operator::literal;
  Scalar literal;                                 // op literal
  std::string text;                               // op name: the name; else the operator as written, for errors
  std::unique_ptr<ExpressionTree> first, second;  // operands
  int depth = 1;                                  // of operations in each other: evaluation is recursive
};

/// Throws ExpressionProblem.
std::unique_ptr<ExpressionTree> parse_expression(const std::string& text);

}  // namespace psanet::models
