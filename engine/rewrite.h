// The frame of every pass: a graph is copied node by node, and a rule may put something else in a node's place.
#pragma once

#include <functional>
#include <optional>

#include "engine/graph.h"

namespace psanet {

/// Sees the old node and the new graph so far; returns the values that replace the node's outputs, or nothing to copy
/// it.
class Rewriter {
 public:
  using Rule = std::function<std::optional<Values>(Rewriter&, int id)>;

  explicit Rewriter(const Graph& graph) : from(graph), uses(graph.use_counts()) {}

  const Graph& from;
  Graph to;
  std::vector<std::vector<int>> uses;  // of `from`

  /// The new value that stands for an old one.
  Value mapped(Value old) const;
  Values mapped(const Values& old) const;
  /// Is the old value read exactly once?
  bool used_once(Value old) const { return uses[static_cast<size_t>(old.node)][static_cast<size_t>(old.output)] == 1; }

  Graph run(const Rule& rule);

 private:
  std::vector<Values> map_;
};

/// Removes what no output and no update of kept state depends on.
Graph prune(const Graph& graph);

/// As prune, and also drops updates: the graph computes its outputs and changes nothing.
Graph prune_updates(const Graph& graph);

}  // namespace psanet
