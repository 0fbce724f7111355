// Reverse-mode differentiation as a graph transform: it adds the nodes that compute the gradients.
#pragma once

#include <span>

#include "engine/graph.h"

namespace psanet {

/// What an op's gradient rule sees.
class Gradient {
 public:
  Gradient(Graph& graph, const Node& self, int id, Values d_out, std::vector<bool> needs)
      : graph_(graph), self_(self), id_(id), d_out_(std::move(d_out)), needs_(std::move(needs)) {}

  Value in(size_t i) const { return i < self_.inputs.size() ? self_.inputs[i] : Value{}; }
  Value out(size_t i) const { return {id_, static_cast<int>(i)}; }
  /// Gradient of output i; empty if nothing that matters depends on it.
  Value d_out(size_t i) const { return d_out_[i]; }
  /// Must the rule return a gradient for input i? (It may return one anyway: it is pruned.)
  bool needs(size_t i) const { return needs_[i]; }
  size_t inputs() const { return self_.inputs.size(); }
  const Type& type(Value v) const { return graph_.type(v); }
  const Node& self() const { return self_; }

  /// Adds a node named after this one: "<name>.<what>".
  Values apply(const std::string& what, Op op, Values inputs) {
    return graph_.apply(self_.name + "." + what, std::move(op), std::move(inputs));
  }
  Value add(const std::string& what, Op op, Values inputs) { return apply(what, std::move(op), std::move(inputs))[0]; }

 private:
  Graph& graph_;
  const Node& self_;
  int id_;
  Values d_out_;
  std::vector<bool> needs_;
};

/// The gradients of the scalar `loss` [1] with respect to each of `wanted`; a value that the loss does not depend on
/// gets an empty Value. `sum` is the op (a, b) -> a + b that joins the gradients of a value that is read twice.
Values differentiate(Graph& graph, Value loss, std::span<const Value> wanted, const Op& sum);

}  // namespace psanet
