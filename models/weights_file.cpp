#include "models/weights_file.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "engine/error.h"
#include "engine/json/text.h"

namespace psanet::models {

using nlohmann::json;
using Kind = Source::Kind;

namespace {

constexpr char kRoles[] = "roles";  // the key of the metadata
constexpr char kStatistic[] = "statistic", kMomentum[] = "momentum", kCounter[] = "counter";
// How files without roles name things.
constexpr char kCounterName[] = ".num_batches_tracked", kMomentumName[] = "momentum.", kModuleName[] = "module.";

/// The first few, and how many there are.
std::string some(const std::vector<std::string>& names, size_t most) {
  return fmt::format("{}{}", fmt::join(std::span(names).first(std::min(names.size(), most)), ", "),
                     names.size() > most ? ", ..." : "");
}

/// What is behind `start`, if the text begins with it.
std::optional<std::string> behind(const std::string& text, const std::string& start) {
  return text.starts_with(start) ? std::optional(text.substr(start.size())) : std::nullopt;
}

/// What a file says its tensors are: name -> {"momentum", "conv.weight"}.
using Roles = std::map<std::string, std::pair<std::string, std::string>>;

Roles roles_of(const Safetensors& file, const std::string& where) {
  Roles roles;
  const auto written = file.metadata.find(kRoles);
  if (written == file.metadata.end()) return roles;
  const auto wrong = [&](const std::string& what) {
    return WeightsError(fmt::format("{}: metadata \"{}\": {}", where, kRoles, what));
  };
  const json parsed = json::parse(written->second, nullptr, false);
  if (!parsed.is_object()) throw wrong("is no JSON object");
  for (const auto& [name, role] : parsed.items()) {
    const std::string text = role.is_string() ? role.get<std::string>() : "";
    const size_t space = text.find(' ');
    const std::string what = text.substr(0, space);
    if (space == std::string::npos || (what != kStatistic && what != kMomentum && what != kCounter)) {
      throw wrong(
          fmt::format("\"{}\": want \"statistic\", \"momentum\" or \"counter\" and what it is of", printed(name)));
    }
    if (!file.contains(name)) throw wrong(fmt::format("\"{}\": there is no such tensor", printed(name)));
    roles[name] = {what, text.substr(space + 1)};
  }
  return roles;
}

/// Of a file without roles; nothing for a counter.
std::optional<SourceKey> key_by_name(const std::string& name, const FileTensor& tensor, const Parameters& model) {
  if (model.contains(name)) return SourceKey{Kind::parameter, name};
  if (tensor.dtype == "I64" && name.ends_with(kCounterName)) return {};
  if (const auto of = behind(name, kMomentumName); of && model.contains({Kind::momentum, *of})) {
    return SourceKey{Kind::momentum, *of};
  }
  return SourceKey{Kind::parameter, behind(name, kModuleName).value_or(name)};
}

}  // namespace

Safetensors to_file(const Parameters& parameters, int64_t iterations, bool optimizer) {
  Safetensors file;
  json roles = json::object();
  std::vector<const Parameters::Entry*> momenta;
  std::set<std::string> layers;
  for (const Parameters::Entry& entry : parameters.entries()) {
    if (!entry.source.in_files()) continue;
    if (entry.source.kind == Kind::momentum) {
      momenta.push_back(&entry);
      continue;
    }
    file.tensors[entry.name] = parameters.to_file(entry);
    if (entry.source.kind != Kind::statistic) continue;
    roles[entry.name] = fmt::format("{} {}", kStatistic, entry.source.of);
    layers.insert(entry.source.of);
  }
  // Names that are our own give way to the model's.
  const auto add = [&](std::string name, const char* role, const std::string& of, FileTensor tensor) {
    while (file.contains(name)) name += "'";
    roles[name] = fmt::format("{} {}", role, of);
    file.tensors.emplace(std::move(name), std::move(tensor));
  };
  for (const std::string& layer : layers) {
    add(layer + kCounterName, kCounter, layer, FileTensor::of({}, std::span<const int64_t>(&iterations, 1)));
  }
  for (const Parameters::Entry* entry : momenta) {
    if (optimizer) add(kMomentumName + entry->source.of, kMomentum, entry->source.of, parameters.to_file(*entry));
  }
  file.metadata = {{"format", "psanet"}, {"iterations", std::to_string(iterations)}, {kRoles, roles.dump()}};
  return file;
}

std::map<SourceKey, const FileTensor*> tensors_of(const Safetensors& file, const Parameters& model,
                                                  const std::string& where) {
  const Roles roles = roles_of(file, where);
  const bool ours = file.metadata.count(kRoles) > 0;
  std::map<SourceKey, const FileTensor*> tensors;
  for (const auto& [name, tensor] : file.tensors) {
    std::optional<SourceKey> key = SourceKey{Kind::parameter, name};
    if (const auto role = roles.find(name); role != roles.end()) {
      if (role->second.first == kCounter) continue;
      if (role->second.first == kMomentum) key = SourceKey{Kind::momentum, role->second.second};
    } else if (!ours) {
      key = key_by_name(name, tensor, model);
      if (!key) continue;
    }
    if (tensors.emplace(*key, &tensor).second) continue;
    if (ours) throw WeightsError(fmt::format("{}: two tensors are the momentum of \"{}\"", where, key->name));
    if (file.contains(key->name)) tensors[*key] = &file.at(key->name);  // rather than the one with "module."
  }
  return tensors;
}

LoadReport load_weights(Parameters& parameters, const std::map<SourceKey, const FileTensor*>& tensors,
                        const std::string& file_name) {
  LoadReport report;
  std::set<SourceKey> known;
  for (const Parameters::Entry& entry : parameters.entries()) {
    if (!entry.source.in_files()) continue;
    known.insert(entry.key);
    if (const auto it = tensors.find(entry.key); it != tensors.end()) {
      parameters.from_file(entry, *it->second, file_name);
      report.loaded.push_back(entry.name);
    } else if (entry.source.kind != Kind::momentum) {
      report.missing.push_back(entry.name);
    }
  }
  for (const auto& [key, tensor] : tensors) {
    if (known.count(key)) continue;
    report.unused.push_back(key.kind == Kind::momentum ? kMomentumName + key.name : key.name);
  }
  return report;
}

LoadReport load_weights(Parameters& parameters, const Safetensors& file, const std::string& file_name, bool strict) {
  const LoadReport report = load_weights(parameters, tensors_of(file, parameters, file_name), file_name);
  if (strict && !(report.missing.empty() && report.unused.empty())) {
    const auto counted = [](const std::vector<std::string>& names) {
      return names.empty() ? "0" : fmt::format("{} ({})", names.size(), some(names, 4));
    };
    throw WeightsError(fmt::format(
        "{}: does not fit the model: {} tensors of the model are missing in it, {} of it are not in the model",
        file_name, counted(report.missing), counted(report.unused)));
  }
  return report;
}

std::string describe(const LoadReport& report) {
  std::string text = fmt::format("{} tensors loaded", report.loaded.size());
  if (!report.missing.empty()) {
    text += fmt::format("; {} of the model not in the file: {}", report.missing.size(), some(report.missing, 3));
  }
  if (!report.unused.empty()) {
    text += fmt::format("; {} of the file not used: {}", report.unused.size(), some(report.unused, 3));
  }
  return text;
}

}  // namespace psanet::models
