// bf16 as rewrites of the graph: no op knows a flag.
#include <algorithm>
#include <map>
#include <set>

#include "engine/rewrite.h"
#include "layers/cast.h"
#include "layers/conv2d.h"
#include "layers/passes/passes.h"
#include "layers/resize.h"
#include "layers/resize_taps.h"
#include "layers/sgd.h"
#include "layers/softmax.h"

namespace psanet::layers {

namespace {

/// Values of the new graph as another type; each is cast once.
class Casts {
 public:
  Value as(DType dtype, Rewriter& r, Value v) {
    if (!v || r.to.type(v).dtype == dtype || !is_float(r.to.type(v).dtype)) return v;
    Value& cast = done_[{v, dtype}];
    if (!cast) cast = r.to.add(r.to.node(v).name + "." + name(dtype), Cast{dtype}, {v});
    return cast;
  }

 private:
  std::map<std::pair<Value, DType>, Value> done_;
};

/// For each node: are its values read by softmaxes and as results of the graph only?
std::vector<bool> ends_in_probabilities(const Graph& graph) {
  std::vector<bool> ends(graph.nodes().size(), true);
  for (const Node& node : graph.nodes()) {
    if (node.as<Softmax>()) continue;
    for (Value v : node.inputs) {
      if (v) ends[static_cast<size_t>(v.node)] = false;
    }
  }
  return ends;
}

}  // namespace

Graph use_bf16(const Graph& graph) {
  Casts casts;
  const std::vector<bool> ends = ends_in_probabilities(graph);
  Graph result = Rewriter(graph).run([&](Rewriter& r, int id) -> std::optional<Values> {
    const Node& node = r.from.node(id);
    if (!node.op()) return std::nullopt;
    Values inputs = r.mapped(node.inputs);
    if (const auto* conv = node.as<Conv2d>()) {
      for (size_t i = 0; i < inputs.size(); ++i) {
        const bool is_bias = conv->bias && i == 2;
        if (!is_bias) inputs[i] = casts.as(DType::bf16, r, inputs[i]);
      }
    } else if (node.as<SplitWeight>()) {
      inputs[0] = casts.as(DType::bf16, r, inputs[0]);
    } else if (node.as<Softmax>() || (node.as<Resize>() && ends[static_cast<size_t>(id)])) {
      for (Value& v : inputs) v = casts.as(DType::f32, r, v);
    } else {
      // Operands of the same shape have the same type: a sum, a concatenation, a product of a bf16 and a float value.
      const auto activation = [&](Value v) { return v && r.to.type(v).rank() >= 3; };
      const bool any = std::any_of(inputs.begin(), inputs.end(),
                                   [&](Value v) { return activation(v) && r.to.type(v).dtype == DType::bf16; });
      for (Value& v : inputs) {
        if (any && activation(v)) v = casts.as(DType::bf16, r, v);
      }
    }
    return r.to.apply(node.name, *node.op(), inputs);
  });
  const auto in_float = [&](const std::string& name, Value v) {
    return v && result.type(v).dtype == DType::bf16 ? result.add(name, Cast{DType::f32}, {v}) : v;
  };
  const auto outputs = result.outputs(), gradients = result.gradients();
  for (const auto& [name, v] : outputs) result.output(name, in_float("output." + name, v));
  for (const auto& [of, v] : gradients) result.gradient(of, in_float("gradient." + of, v));
  return result;
}

Graph let_sgd_write_copies(const Graph& graph) {
  std::set<Value> updated;  // parameters that some Sgd writes
  for (const Node& node : graph.nodes()) {
    const auto* sgd = node.as<Sgd>();
    if (!sgd) continue;
    for (size_t t = 0; t < sgd->rate_factor.size(); ++t) updated.insert(node.inputs[sgd->first_tensor() + 3 * t]);
  }
  std::map<Value, Value> copy_of;  // of such a parameter; both values of the old graph
  for (size_t id = 0; id < graph.nodes().size(); ++id) {
    const Node& node = graph.nodes()[id];
    const auto* cast = node.as<Cast>();
    if (cast && cast->to == DType::bf16 && updated.count(node.inputs[0])) {
      copy_of[node.inputs[0]] = {static_cast<int>(id), 0};
    }
  }
  return Rewriter(graph).run([&](Rewriter& r, int id) -> std::optional<Values> {
    const Node& node = r.from.node(id);
    if (node.as<Cast>()) {
      const auto found = copy_of.find(node.inputs[0]);
      if (found == copy_of.end() || found->second.node != id) return std::nullopt;
      return Values{r.to.derived(node.name, node.outputs[0])};
    }
    if (const auto* sgd = node.as<Sgd>()) {
      Sgd writing = *sgd;
      Values inputs = r.mapped(node.inputs);
      for (size_t t = 0; t < sgd->rate_factor.size(); ++t) {
        const auto found = copy_of.find(node.inputs[sgd->first_tensor() + 3 * t]);
        if (found == copy_of.end()) continue;
        writing.copied.push_back(static_cast<int64_t>(t));
        inputs.push_back(r.mapped(found->second));
      }
      return r.to.apply(node.name, writing, inputs);
    }
    return std::nullopt;
  });
}

}  // namespace psanet::layers
