#include "engine/graph.h"

#include <fmt/format.h>

#include "engine/error.h"

namespace psanet {

Value Graph::source(std::string name, Type type, Source source) {
  check_size(type, name);
  const Value value{static_cast<int>(nodes_.size()), 0};
  if (!sources_.emplace(name, value).second) {
    throw ConfigError(fmt::format("{}: two nodes of this name; names must be unique", name));
  }
  nodes_.push_back({std::move(name), std::move(source), {}, {std::move(type)}});
  return value;
}

Value Graph::input(std::string name, Type type) {
  return source(std::move(name), std::move(type), {Source::Kind::input, {}, FileLayout::same});
}
Value Graph::parameter(std::string name, Type type, Initializer initializer, FileLayout layout) {
  return source(std::move(name), std::move(type), {Source::Kind::parameter, initializer, layout});
}
Value Graph::state(std::string name, Type type, Initializer initializer, FileLayout layout) {
  return source(std::move(name), std::move(type), {Source::Kind::state, initializer, layout});
}
Value Graph::derived(std::string name, Type type) {
  return source(std::move(name), std::move(type), {Source::Kind::derived, {}, FileLayout::same});
}
Value Graph::constant(std::string name, Type type, double value) {
  return source(std::move(name), std::move(type),
                {Source::Kind::constant, Initializer::constant(value), FileLayout::same});
}

Values Graph::apply(std::string name, Op op, Values inputs) {
  Types outputs;
  try {
    outputs = op.infer(types(inputs));
    for (const Type& type : outputs) check_size(type, "the result");
  } catch (const ConfigError& e) {
    throw ConfigError(fmt::format("{} ({}): {}", name, op.name(), e.what()));
  }
  const int id = static_cast<int>(nodes_.size());
  Values values;
  for (size_t i = 0; i < outputs.size(); ++i) values.push_back({id, static_cast<int>(i)});
  nodes_.push_back({std::move(name), std::move(op), std::move(inputs), std::move(outputs)});
  return values;
}

Values Graph::copy(const Node& node, Values inputs) {
  if (const Source* s = node.source()) return {source(node.name, node.outputs[0], *s)};
  return apply(node.name, *node.op(), std::move(inputs));
}

Value Graph::output(const std::string& name) const {
  auto it = outputs_.find(name);
  return it == outputs_.end() ? Value{} : it->second;
}

Types Graph::types(const Values& values) const {
  Types result;
  for (Value v : values) result.push_back(v ? type(v) : Type{DType::f32, {0}});
  return result;
}

Value Graph::find_source(const std::string& name) const {
  auto it = sources_.find(name);
  return it == sources_.end() ? Value{} : it->second;
}

Values Graph::sources(Source::Kind kind) const {
  Values found;
  for (size_t i = 0; i < nodes_.size(); ++i) {
    if (nodes_[i].is(kind)) found.push_back({static_cast<int>(i), 0});
  }
  return found;
}

std::vector<std::vector<int>> Graph::use_counts() const {
  std::vector<std::vector<int>> counts;
  for (const Node& node : nodes_) counts.emplace_back(node.outputs.size(), 0);
  const auto count = [&](Value v) {
    if (v) ++counts[static_cast<size_t>(v.node)][static_cast<size_t>(v.output)];
  };
  for (const Node& node : nodes_) {
    for (Value v : node.inputs) count(v);
  }
  for (const auto& [name, value] : outputs_) count(value);
  return counts;
}

}  // namespace psanet
