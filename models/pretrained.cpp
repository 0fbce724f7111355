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

/// A stem as its convolutions' shapes tell: {channels, ...}, and the size of the first.
struct Stem {
  std::vector<int64_t> channels;
  int64_t kernel = 0;
  bool operator==(const Stem&) const = default;
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
  return stem;
}

void check_stem(const Stem& found, const Stem& wanted, const std::string& file_name) {
  if (found == wanted || found.channels.empty() || wanted.channels.empty()) return;
  std::string fix = "a model with a stem of one 7x7 convolution is wanted";
  if (found.channels.size() == 3 && wanted.channels.size() == 3) {
    fix = fmt::format("let.stem_1={} let.stem_2={} let.stem_3={} makes the model fit", found.channels[0],
                      found.channels[1], found.channels[2]);
  } else if (found.channels.size() == 3) {
    fix = "a model with a stem of three 3x3 convolutions is wanted";
  }
  throw WeightsError(
      fmt::format("{}: its stem is {}, the model's is {}; {}", file_name, found.describe(), wanted.describe(), fix));
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
