#include "engine/graph.h"

#include <fmt/format.h>

#include "engine/error.h"

namespace psanet {

SourceKey key_of(const Node& node) {
  const Source& source = *node.source();
  if (source.kind > Source::Kind::statistic) return {source.kind, source.of};
  return {source.kind == Source::Kind::statistic ? Source::Kind::parameter : source.kind, node.name};
}

Value Graph::source(std::string name, Type type, Source source) {
  check_size(type, name);
  const Value value{static_cast<int>(nodes_.size()), 0};
  nodes_.push_back({std::move(name), std::move(source), {}, {std::move(type)}});
  const Node& node = nodes_.back();
  if (!sources_.emplace(key_of(node), value).second) {
    const std::string taken = node.name;
    nodes_.pop_back();
    throw ConfigError(fmt::format("{}: two nodes of this name; names must be unique", taken));
  }
  return value;
}

Value Graph::input(std::string name, Type type) {
  return source(std::move(name), std::move(type), {});
}
Value Graph::constant(std::string name, Type type, double value) {
  return source(std::move(name), std::move(type), {Source::Kind::constant, Initializer::constant(value)});
}
Value Graph::derived(std::string name, Type type) {
  return source(std::move(name), std::move(type), {Source::Kind::derived});
}
Value Graph::parameter(std::string name, Type type, Initializer initializer, FileLayout layout) {
  return source(std::move(name), std::move(type), {Source::Kind::parameter, initializer, layout});
}
Value Graph::statistic(std::string name, std::string layer, Type type, Initializer initializer) {
  return source(std::move(name), std::move(type),
                {Source::Kind::statistic, initializer, FileLayout::same, std::move(layer)});
}
Value Graph::kept_for(Source::Kind kind, Value parameter) {
  const Node& of = node(parameter);
  const char* what = kind == Source::Kind::momentum ? "momentum" : "accumulated";
  return source(fmt::format("{}.{}", what, of.name), of.outputs[0],
                {kind, Initializer::constant(0), of.source()->layout, of.name});
}
Value Graph::loss_sum(std::string loss, Type type) {
  return source("accumulated." + loss, std::move(type),
                {Source::Kind::loss_sum, Initializer::constant(0), FileLayout::same, loss});
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

namespace {
template <class Map, class Key>
Value find_in(const Map& values, const Key& key) {
  const auto it = values.find(key);
  return it == values.end() ? Value{} : it->second;
}
}  // namespace

Value Graph::output(const std::string& name) const {
  return find_in(outputs_, name);
}
Value Graph::gradient(const std::string& of) const {
  return find_in(gradients_, of);
}
Value Graph::find(const SourceKey& key) const {
  return find_in(sources_, key);
}

void Graph::clear_outputs() {
  outputs_.clear();
  gradients_.clear();
}

Values Graph::results() const {
  Values results;
  for (const auto* named : {&outputs_, &gradients_}) {
    for (const auto& [name, value] : *named) {
      if (value) results.push_back(value);
    }
  }
  return results;
}

Types Graph::types(const Values& values) const {
  Types result;
  for (Value v : values) result.push_back(v ? type(v) : Type{DType::f32, {0}});
  return result;
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
  for (Value v : results()) count(v);
  return counts;
}

}  // namespace psanet
