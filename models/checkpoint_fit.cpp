#include "models/checkpoint_fit.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>
#include <span>

#include "engine/fields_json.h"
#include "models/weights_file.h"

namespace psanet::models {

using nlohmann::ordered_json;

namespace {

void compare(const ordered_json& was, const ordered_json& is, const std::string& path,
             const std::set<std::string>& may_differ, std::vector<std::string>& result) {
  if (may_differ.contains(path) || was == is) return;
  if (!was.is_object() || !is.is_object()) {
    result.push_back(fmt::format("{}: was {}, is {}", path, was.dump(), is.dump()));
    return;
  }
  const auto below = [&](const std::string& key) { return path.empty() ? key : path + "." + key; };
  for (const auto& [key, value] : was.items()) {
    compare(value, is.contains(key) ? is.at(key) : ordered_json(), below(key), may_differ, result);
  }
  for (const auto& [key, value] : is.items()) {
    if (!was.contains(key)) compare(ordered_json(), value, below(key), may_differ, result);
  }
}

}  // namespace

std::vector<std::string> differences(const ordered_json& was, const ordered_json& is,
                                     const std::set<std::string>& may_differ, const std::string& path) {
  std::vector<std::string> result;
  compare(was, is, path, may_differ, result);
  return result;
}

ordered_json describe(const Graph& graph) {
  ordered_json nodes = ordered_json::object();
  const auto add = [&](std::string name, std::string text) {
    while (nodes.contains(name)) name += "'";  // an input and an op, say, may have one name
    nodes[name] = std::move(text);
  };
  const auto named = [&](Value v) { return v ? fmt::format("{}:{}", graph.node(v).name, v.output) : "none"; };
  for (const Node& node : graph.nodes()) {
    if (node.source() && node.source()->kept()) continue;
    std::vector<std::string> inputs, types;
    for (Value v : node.inputs) inputs.push_back(named(v));
    for (const Type& type : node.outputs) types.push_back(to_string(type));
    std::string what = "source";
    if (node.op()) {
      what = fmt::format("{} {}", node.op()->name(), write_fields([&](Fields& f) { node.op()->fields(f); }).dump());
    }
    add(node.name, fmt::format("{} of {} -> {}", what, fmt::join(inputs, " "), fmt::join(types, " ")));
  }
  for (const auto& [name, value] : graph.outputs()) add("output " + name, named(value));
  return nodes;
}

std::vector<std::string> tensor_differences(const Safetensors& file, const Parameters& is, const std::string& where) {
  const std::map<SourceKey, const FileTensor*> was = tensors_of(file, is, where);
  std::vector<std::string> result;
  for (const Parameters::Entry& entry : is.entries()) {
    if (!entry.source.in_files()) continue;
    const char* kind = entry.source.kind == Source::Kind::parameter ? "parameter" : "state";
    const std::string shape = to_string(Parameters::file_shape(entry));
    const auto found = was.find(entry.key);
    if (found == was.end()) {
      result.push_back(fmt::format("{} \"{}\": was not there, is {}", kind, entry.name, shape));
    } else if (const std::string before = to_string(found->second->shape); before != shape) {
      result.push_back(fmt::format("{} \"{}\": was {}, is {}", kind, entry.name, before, shape));
    }
  }
  for (const auto& [key, tensor] : was) {
    if (is.contains(key)) continue;
    result.push_back(fmt::format("tensor \"{}\": was {}, is not in the model", key.name, to_string(tensor->shape)));
  }
  return result;
}

std::string first_few(const std::vector<std::string>& differences) {
  const size_t shown = std::min<size_t>(differences.size(), 4);
  const std::string more = differences.size() > shown ? fmt::format("; and {} more", differences.size() - shown) : "";
  return fmt::format("{}{}", fmt::join(std::span(differences).first(shown), "; "), more);
}

}  // namespace psanet::models
