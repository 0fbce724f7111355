#include "tests/support/op_subject.h"

#include <fmt/format.h>

#include <set>

#include "engine/autodiff.h"
#include "engine/random.h"
#include "layers/arithmetic.h"
#include "layers/cast.h"

namespace psanet::tests {

namespace {

std::string input_name(size_t i) {
  return fmt::format("in{}", i);
}

/// The value on its way into the op.
Value fed(Graph& graph, Value v, const std::string& name, const SubjectOptions& options) {
  if (options.feed == Feed::values) v = graph.add(name + ".same", layers::Scale{1}, {v});
  if (options.activations == DType::bf16 && graph.type(v).rank() >= 3) {
    v = graph.add(name + ".bf16", layers::Cast{DType::bf16}, {v});
  }
  return v;
}

void add_output(Subject& s, const std::string& name, Value v) {
  if (s.graph.type(v).dtype == DType::bf16) v = s.graph.add(name + ".f32", layers::Cast{DType::f32}, {v});
  s.outputs.push_back(name);
  s.graph.output(name, v);
}

}  // namespace

bool has_bf16(const OpCase& c) {
  static const std::set<std::string> kFloatOnly = {"sgd",  "accumulate",    "clear", "fold_batch_norm",
                                                   "cast", "divide_or_zero"};
  return kFloatOnly.count(c.op.name()) == 0;
}

Subject forward_subject(const OpCase& c, const SubjectOptions& options, const std::vector<size_t>& outputs) {
  Subject s;
  Values in;
  for (size_t i = 0; i < c.inputs.size(); ++i) {
    const HostTensor& values = c.inputs[i].tensor;
    const bool floats = values.type.dtype == DType::f32;
    Value v;
    if (options.feed == Feed::parameters && i > 0 && floats) {
      v = s.graph.parameter(input_name(i), values.type, Initializer::constant(0));
      s.parameters.emplace_back(input_name(i), values);
    } else {
      v = s.graph.input(input_name(i), values.type);
      s.inputs.emplace_back(input_name(i), values);
    }
    in.push_back(floats ? fed(s.graph, v, input_name(i), options) : v);
  }
  const Values out = s.graph.apply(kOpNode, c.op, in);
  for (size_t o : outputs) add_output(s, fmt::format("out{}", o), out[o]);
  for (int i : c.op.mutates(c.inputs.size())) s.updated.push_back(input_name(static_cast<size_t>(i)));
  return s;
}

HostTensor upstream(const OpCase& c) {
  HostTensor d_out(c.op.infer(c.input_types())[0]);
  const uint64_t key = hash_name(c.name + "#d_out");
  for (size_t i = 0; i < d_out.values.size(); ++i) d_out.values[i] = static_cast<float>(random_unit(key, i));
  return d_out;
}

Subject gradient_subject(const OpCase& c, const SubjectOptions& options, int only_input) {
  Subject s = forward_subject(c, options, {});
  const int id = static_cast<int>(s.graph.nodes().size()) - 1;
  const Node& node = s.graph.node(id);

  const HostTensor d_y = upstream(c);
  Values d_out(node.outputs.size());
  s.inputs.emplace_back("d_out", d_y);
  d_out[0] = fed(s.graph, s.graph.input("d_out", d_y.type), "d_out", options);

  std::vector<bool> needs;
  for (size_t i = 0; i < c.inputs.size(); ++i) {
    needs.push_back(!c.inputs[i].constant && (only_input < 0 || i == static_cast<size_t>(only_input)));
  }
  Gradient scope(s.graph, node, id, d_out, needs);
  const Values d_in = c.op.grad(scope);
  for (size_t i = 0; i < c.inputs.size(); ++i) {
    if (!needs[i] || i >= d_in.size() || !d_in[i]) continue;
    add_output(s, fmt::format("d_in{}", i), d_in[i]);
  }
  return s;
}

bool differentiable(const OpCase& c) {
  return c.gradient && c.op.has_gradient();
}

Tolerance tolerance_for(const OpCase& c, const HostTensor& wanted) {
  if (wanted.type.dtype != DType::f32 && wanted.type.dtype != DType::bf16) return {0, 0};
  return {c.tolerance * std::max(1.0, largest(wanted.values)), c.tolerance};
}

}  // namespace psanet::tests
