// bf16 as rewrites of the graph: no op knows a flag.
#include <algorithm>
#include <map>

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

/// Is the value read by softmaxes and as an output of the graph only?
bool ends_in_probabilities(const Graph& graph, Value v) {
  for (const Node& node : graph.nodes()) {
    const bool reads = std::find(node.inputs.begin(), node.inputs.end(), v) != node.inputs.end();
    if (reads && !node.as<Softmax>()) return false;
  }
  return true;
}

}  // namespace

Graph use_bf16(const Graph& graph) {
  Casts casts;
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
    } else if (node.as<Softmax>() || (node.as<Resize>() && ends_in_probabilities(r.from, {id, 0}))) {
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
  const auto outputs = result.outputs();
  for (const auto& [name, v] : outputs) {
    if (v && result.type(v).dtype == DType::bf16) {
      result.output(name, result.add("output." + name, Cast{DType::f32}, {v}));
    }
  }
  return result;
}

Graph let_sgd_write_copies(const Graph& graph) {
  std::map<Value, Value> copy_of;  // of a parameter; both values of the old graph
  for (size_t id = 0; id < graph.nodes().size(); ++id) {
    const Node& node = graph.nodes()[id];
    const auto* cast = node.as<Cast>();
    if (cast && cast->to == DType::bf16 && graph.node(node.inputs[0]).is(Source::Kind::parameter)) {
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
        writing.copied.push_back(static_cast<double>(t));
        inputs.push_back(r.mapped(found->second));
      }
      return r.to.apply(node.name, writing, inputs);
    }
    return std::nullopt;
  });
}

}  // namespace psanet::layers
