#include "engine/autodiff.h"

#include <fmt/format.h>

#include "engine/error.h"

namespace psanet {

Values differentiate(Graph& graph, Value loss, std::span<const Value> wanted, const Op& sum) {
  const int last = loss.node;

  // Forward: which nodes depend on something wanted? Only those need gradients (the image and its first convolution do
  // not).
  std::vector<bool> depends(static_cast<size_t>(last) + 1, false);
  for (Value v : wanted) {
    if (v && v.node <= last) depends[static_cast<size_t>(v.node)] = true;
  }
  for (int id = 0; id <= last; ++id) {
    for (Value v : graph.node(id).inputs) {
      if (v && depends[static_cast<size_t>(v.node)]) depends[static_cast<size_t>(id)] = true;
    }
  }

  std::vector<Values> d(static_cast<size_t>(last) + 1);
  const auto slot = [&](Value v) -> Value& {
    Values& of_node = d[static_cast<size_t>(v.node)];
    of_node.resize(graph.node(v).outputs.size());
    return of_node[static_cast<size_t>(v.output)];
  };
  const std::string seed = "d_" + graph.node(loss).name;
  const Value known = graph.find({Source::Kind::constant, seed});  // of an earlier differentiation of the same loss
  slot(loss) = known ? known : graph.constant(seed, graph.type(loss), 1.0);

  // Backward: a node's gradient rule runs when all its readers have contributed, that is in reverse order.
  for (int id = last; id >= 0; --id) {
    const Node& node = graph.node(id);
    Values& d_out = d[static_cast<size_t>(id)];
    if (!node.op() || d_out.empty() || !depends[static_cast<size_t>(id)]) continue;
    d_out.resize(node.outputs.size());
    if (!node.op()->has_gradient()) {
      throw ConfigError(fmt::format("{}: no gradient is defined for op {}, but the loss depends on it", node.name,
                                    node.op()->name()));
    }
    std::vector<bool> needs;
    for (Value v : node.inputs) needs.push_back(v && depends[static_cast<size_t>(v.node)]);
    Gradient scope(graph, node, id, d_out, needs);
    const Values d_in = node.op()->grad(scope);
    for (size_t i = 0; i < d_in.size(); ++i) {
      if (!d_in[i] || !needs[i]) continue;
      if (graph.type(d_in[i]).shape != graph.type(node.inputs[i]).shape) {
        throw std::logic_error(fmt::format("{}: the gradient of input {} of {} has type {}, the input {}", node.name, i,
                                           node.op()->name(), to_string(graph.type(d_in[i])),
                                           to_string(graph.type(node.inputs[i]))));
      }
      Value& so_far = slot(node.inputs[i]);
      so_far = so_far ? graph.add(graph.node(node.inputs[i]).name + ".d_sum", sum, {so_far, d_in[i]}) : d_in[i];
    }
  }

  Values gradients;
  for (Value v : wanted) gradients.push_back(v && v.node <= last ? slot(v) : Value{});
  return gradients;
}

}  // namespace psanet
