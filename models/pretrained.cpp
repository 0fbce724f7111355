#include "models/pretrained.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <map>

#include "engine/error.h"

namespace psanet::models {

namespace {

bool starts_with(const std::string& text, const std::string& start) {
  return text.rfind(start, 0) == 0;
}

std::string without_prefixes(std::string name) {
  for (const char* prefix : {"module.", "backbone."}) {
    if (starts_with(name, prefix)) name = name.substr(std::string(prefix).size());
  }
  return name;
}

/// Whose names the stem has: what stands before the last dot -> the number in layer0.
std::map<std::string, int> stem_names(const std::set<std::string>& names) {
  if (names.count("conv3.weight")) {  // semseg's ImageNet networks
    return {{"conv1", 0}, {"bn1", 1}, {"conv2", 3}, {"bn2", 4}, {"conv3", 6}, {"bn3", 7}};
  }
  if (names.count("conv1.6.weight")) {  // ResNet-D
    return {{"conv1.0", 0}, {"conv1.1", 1}, {"conv1.3", 3}, {"conv1.4", 4}, {"conv1.6", 6}, {"bn1", 7}};
  }
  if (names.count("stem.0.weight")) {  // mmsegmentation
    return {{"stem.0", 0}, {"stem.1", 1}, {"stem.3", 3}, {"stem.4", 4}, {"stem.6", 6}, {"stem.7", 7}};
  }
  return {{"conv1", 0}, {"bn1", 1}};  // torchvision
}

/// A stem as its convolutions' shapes tell: {channels, ...}, and the size of the first; and what has to go with it.
struct Stem {
  std::vector<int64_t> channels;
  int64_t kernel = 0;
  bool first_shortcut = false;  // a convolution in the shortcut of layer1.0
  bool bottlenecks = false;
  bool same_convolutions(const Stem& other) const { return channels == other.channels && kernel == other.kernel; }
  std::string describe() const {
    return channels.size() == 1 ? fmt::format("one {0}x{0} convolution of {1} channels", kernel, channels[0])
                                : fmt::format("3x3 convolutions of {} channels", fmt::join(channels, ", "));
  }
};

template <class ShapeOf>
Stem stem_of(ShapeOf&& shape_of) {
  Stem stem;
  for (const char* name : {"layer0.0.weight", "layer0.3.weight", "layer0.6.weight"}) {
    const std::vector<int64_t> shape = shape_of(name);
    if (shape.size() != 4) break;
    if (stem.channels.empty()) stem.kernel = shape[2];
    stem.channels.push_back(shape[0]);
  }
  stem.first_shortcut = !shape_of("layer1.0.downsample.0.weight").empty();
  stem.bottlenecks = !shape_of("layer1.0.conv3.weight").empty();
  return stem;
}

/// The `let`s (models/blocks/resnet.json) that make a model with the stem `wanted` one with the stem `found`; none if
/// there is no such model.
std::vector<std::string> lets_for(const Stem& found, const Stem& wanted) {
  std::vector<std::string> lets;
  if (!found.same_convolutions(wanted)) {
    const bool deep = found.channels.size() == 3 && found.kernel == 3;
    if (!deep && !(found.channels == std::vector<int64_t>{64} && found.kernel == 7)) return {};
    if (found.channels.size() != wanted.channels.size()) {
      lets.push_back(deep ? "let.stem=deep_stem" : "let.stem=stem_7x7");
    }
    for (size_t i = 0; deep && i < 3; ++i) lets.push_back(fmt::format("let.stem_{}={}", i + 1, found.channels[i]));
  }
  if (found.first_shortcut != wanted.first_shortcut && !found.bottlenecks && !wanted.bottlenecks) {
    lets.push_back(found.first_shortcut ? "let.stage_1=basic_stage" : "let.stage_1=basic_stage_plain");
  }
  return lets;
}

void check_stem(const Stem& found, const Stem& wanted, const std::string& file_name) {
  if (found.channels.empty() || wanted.channels.empty()) return;
  const std::vector<std::string> lets = lets_for(found, wanted);
  if (!found.same_convolutions(wanted)) {
    throw WeightsError(fmt::format("{}: its stem is {}, the model's is {}; {}", file_name, found.describe(),
                                   wanted.describe(),
                                   lets.empty() ? "none of our stems is like that"
                                                : fmt::format("--set {} makes the model fit", fmt::join(lets, " "))));
  }
  if (lets.empty()) return;
  const auto shortcut = [](const Stem& stem) { return stem.first_shortcut ? "a convolution" : "no convolution"; };
  throw WeightsError(
      fmt::format("{}: layer1.0 has {} in its shortcut, the model's has {}; --set {} makes the model fit", file_name,
                  shortcut(found), shortcut(wanted), fmt::join(lets, " ")));
}

}  // namespace

Safetensors with_official_names(const Safetensors& file) {
  std::set<std::string> names;
  for (const auto& [name, tensor] : file.tensors) names.insert(without_prefixes(name));
  const std::map<std::string, int> stem = stem_names(names);
  Safetensors result;
  result.metadata = file.metadata;
  for (const auto& [full, tensor] : file.tensors) {
    std::string name = without_prefixes(full);
    if (starts_with(name, "fc.")) continue;
    const size_t dot = name.rfind('.');
    if (dot != std::string::npos) {
      const auto found = stem.find(name.substr(0, dot));
      if (found != stem.end()) name = fmt::format("layer0.{}{}", found->second, name.substr(dot));
    }
    result.tensors[name] = tensor;
  }
  return result;
}

LoadReport load_pretrained(Parameters& parameters, const Safetensors& file, const std::string& file_name,
                           const PretrainedOptions& options) {
  Safetensors ours = with_official_names(file);
  const bool imagenet =
      !ours.contains("cls.4.weight") &&
      (file.contains("fc.weight") || file.contains("conv1.weight") || file.contains("module.conv1.weight"));
  std::map<std::string, const Parameters::Entry*> entries;
  for (const Parameters::Entry& entry : parameters.entries()) entries[entry.name] = &entry;

  check_stem(stem_of([&](const std::string& name) {
               return ours.contains(name) ? ours.at(name).shape : std::vector<int64_t>{};
             }),
             stem_of([&](const std::string& name) {
               return entries.count(name) ? Parameters::file_shape(*entries.at(name)) : Shape{};
             }),
             file_name);
  for (const std::string& name : options.classifier) {
    if (!ours.contains(name)) continue;
    if (options.drop_classifier) {
      ours.tensors.erase(name);
    } else if (entries.count(name) && ours.at(name).shape != Parameters::file_shape(*entries.at(name))) {
      throw WeightsError(fmt::format(
          "{}: its classifier \"{}\" has shape {}, the model's {}; drop_classifier=true starts with a new one",
          file_name, name, to_string(ours.at(name).shape), to_string(Parameters::file_shape(*entries.at(name)))));
    }
  }
  // Shapes before values: a file that does not fit changes nothing.
  for (const auto& [name, entry] : entries) {
    if (!ours.contains(name)) continue;
    const Shape wanted = Parameters::file_shape(*entry);
    if (ours.at(name).shape != wanted) {
      throw WeightsError(fmt::format("{}: tensor \"{}\" has shape {}, the model wants {}", file_name, name,
                                     to_string(ours.at(name).shape), to_string(wanted)));
    }
    if (starts_with(name, "momentum.")) ours.tensors.erase(name);
  }
  std::set<std::string> parts_in_file;
  for (const auto& [name, tensor] : ours.tensors) parts_in_file.insert(name.substr(0, name.find('.')));
  for (const auto& [name, entry] : entries) {
    if (!Parameters::in_files(*entry) || starts_with(name, "momentum.") || ours.contains(name)) continue;
    if (options.drop_classifier && options.classifier.count(name)) continue;
    const bool needed = imagenet ? options.in_backbone && options.in_backbone(name)
                                 : parts_in_file.count(name.substr(0, name.find('.')));
    if (needed) throw WeightsError(fmt::format("{}: lacks \"{}\", which the model has", file_name, name));
  }
  LoadReport report = load_weights(parameters, ours, file_name, false);
  if (report.loaded.empty()) {
    throw WeightsError(
        fmt::format("{}: has no tensor of this model; it has {}", file_name,
                    file.tensors.empty() ? "none at all" : "\"" + file.tensors.begin()->first + "\" ..."));
  }
  return report;
}

}  // namespace psanet::models
