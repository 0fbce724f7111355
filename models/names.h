// The names that expressions of one place may use: the `let`s of a model, or the arguments of one use of a block.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "models/expression.h"

namespace psanet::models {

/// What reading a model may take, in characters of expressions and the like: a hundred times as much as our largest,
/// and a few seconds at most.
inline constexpr size_t kMostWork = 40'000'000;
/// Values that are computed from each other in a row: evaluation is recursive.
inline constexpr int kLongestChain = 50;

class Names {
 public:
  /// `outer` (kept by address) answers for what is not defined here.
  explicit Names(const Names* outer = nullptr) : outer_(outer) {}
  Names(const Names&) = delete;
  Names& operator=(const Names&) = delete;

  /// Defines or replaces a name. A string with a `$` is evaluated in this scope when it is first asked for, so
  /// definitions may come in any order. `where` is its JSON path.
  void define(const std::string& name, Scalar value, const std::string& where);

  /// What `$name` stands for. Empty if there is no such name; may throw a ConfigError about the name's own definition.
  std::optional<Scalar> find(const std::string& name) const;
  /// The same; a ConfigError that names `where` if there is no such name.
  Scalar get(const std::string& name, const std::string& where) const;
  /// Every name that find() knows, for error messages.
  std::vector<std::string> names() const;

  /// Takes `steps` of the work that the whole reading may take; a ConfigError that names `where` if it is used up.
  void spend(size_t steps, const std::string& where) const;

  bool defines(const std::string& name) const { return entries_.count(name) > 0; }
  /// The JSON path where the name is defined; "" if it is not.
  std::string where(const std::string& name) const;
  /// The expression that a name is computed from; "" for a plain value.
  std::string expression(const std::string& name) const;
  /// Every name defined here with its value; throws what the first definition that fails throws.
  std::map<std::string, Scalar> values() const;

 private:
  struct Entry {
    Scalar value;            // the result once `done`
    std::string expression;  // "" for a plain value
    std::string where;
    bool done = true;
  };

  const Names* outermost() const { return outer_ ? outer_->outermost() : this; }

  const Names* outer_;
  // Of the outermost scope.
  mutable size_t work_left_ = kMostWork;
  mutable int chain_ = 0;  // definitions that are being evaluated for each other
  mutable std::map<std::string, Entry> entries_;
  mutable std::vector<std::string> busy_;  // being evaluated, outermost first
};

}  // namespace psanet::models
