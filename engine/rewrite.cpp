#include "engine/rewrite.h"

namespace psanet {

Value Rewriter::mapped(Value old) const {
  return old ? map_[static_cast<size_t>(old.node)][static_cast<size_t>(old.output)] : Value{};
}

Values Rewriter::mapped(const Values& old) const {
  Values values;
  for (Value v : old) values.push_back(mapped(v));
  return values;
}

Graph Rewriter::run(const Rule& rule) {
  map_.resize(from.nodes().size());
  for (size_t id = 0; id < from.nodes().size(); ++id) {
    const Node& node = from.nodes()[id];
    std::optional<Values> replacement = rule(*this, static_cast<int>(id));
    map_[id] = replacement ? std::move(*replacement) : to.copy(node, mapped(node.inputs));
  }
  for (const auto& [name, value] : from.outputs()) to.output(name, mapped(value));
  for (const auto& [of, value] : from.gradients()) to.gradient(of, mapped(value));
  return std::move(to);
}

namespace {

Graph prune(const Graph& graph, bool keep_updates) {
  const size_t count = graph.nodes().size();
  std::vector<bool> keep(count, false);
  for (Value v : graph.results()) keep[static_cast<size_t>(v.node)] = true;
  for (size_t id = count; id-- > 0;) {
    const Node& node = graph.nodes()[id];
    if (node.op() && keep_updates && !node.op()->mutates(node.inputs.size()).empty()) keep[id] = true;
    if (!keep[id]) continue;
    for (Value v : node.inputs) {
      if (v) keep[static_cast<size_t>(v.node)] = true;
    }
  }
  // A dropped node's values are never asked for, so it can stand for nothing.
  return Rewriter(graph).run([&](Rewriter& r, int id) -> std::optional<Values> {
    if (keep[static_cast<size_t>(id)]) return std::nullopt;
    return Values(r.from.node(id).outputs.size());
  });
}

}  // namespace

Graph prune(const Graph& graph) {
  return prune(graph, true);
}
Graph prune_updates(const Graph& graph) {
  return prune(graph, false);
}

}  // namespace psanet
