#include "models/pretrained.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>

#include "engine/error.h"

namespace psanet::models {

namespace {

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

/// The tensors of a file by official names; momentum is not among them.
struct Stored {
  std::map<std::string, const FileTensor*> tensors;
  bool imagenet = false;  // a classifier's network: its stem had other names, or it had an fc
  bool contains(const std::string& name) const { return tensors.count(name) > 0; }
  const Shape& shape(const std::string& name) const { return tensors.at(name)->shape; }
};

/// What the model has under the file's own names stays as it is. The rest are names of other programs (pretrained.h).
Stored with_official_names(const std::map<SourceKey, const FileTensor*>& file, const Parameters& model) {
  Stored stored;
  std::map<std::string, const FileTensor*> others;
  std::set<std::string> names;
  for (const auto& [key, tensor] : file) {
    if (key.kind != Source::Kind::parameter) continue;
    const std::string prefix = "backbone.";
    const bool inside = !model.contains(key.name) && key.name.starts_with(prefix);
    const std::string name = inside ? key.name.substr(prefix.size()) : key.name;
    if (model.contains(name)) {
      if (inside)
        stored.tensors.emplace(name, tensor);
      else
        stored.tensors[name] = tensor;
    } else {
      others[name] = tensor;
      names.insert(name);
    }
  }
  const std::map<std::string, int> stem = stem_names(names);
  for (const auto& [name, tensor] : others) {
    const size_t dot = std::min(name.rfind('.'), name.size());
    const auto found = stem.find(name.substr(0, dot));
    const bool classifier = name.substr(0, dot) == "fc";
    stored.imagenet = stored.imagenet || classifier || found != stem.end();
    if (classifier) continue;
    stored.tensors.emplace(found == stem.end() ? name : fmt::format("layer0.{}{}", found->second, name.substr(dot)),
                           tensor);
  }
  return stored;
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

/// Shapes before values: a file that does not fit changes nothing.
void check_shapes(const Stored& stored, const Parameters& parameters, const std::string& file_name,
                  const PretrainedOptions& options) {
  std::map<std::string, Shape> ours;
  for (const Parameters::Entry& entry : parameters.entries()) {
    if (entry.key.kind == Source::Kind::parameter) ours[entry.name] = Parameters::file_shape(entry);
  }
  check_stem(stem_of([&](const std::string& name) { return stored.contains(name) ? stored.shape(name) : Shape{}; }),
             stem_of([&](const std::string& name) { return ours.count(name) ? ours.at(name) : Shape{}; }), file_name);
  const auto fits = [&](const std::string& name) {
    return !stored.contains(name) || !ours.count(name) || stored.shape(name) == ours.at(name);
  };
  for (const std::string& name : options.classifier) {
    if (fits(name)) continue;
    throw WeightsError(fmt::format(
        "{}: its classifier \"{}\" has shape {}, the model's {}; drop_classifier=true starts with a new one", file_name,
        name, to_string(stored.shape(name)), to_string(ours.at(name))));
  }
  for (const auto& [name, shape] : ours) {
    if (fits(name)) continue;
    throw WeightsError(fmt::format("{}: tensor \"{}\" has shape {}, the model wants {}", file_name, name,
                                   to_string(stored.shape(name)), to_string(shape)));
  }
}

/// What the file must have: an ImageNet network the whole backbone, any other whole parts.
void check_complete(const Stored& stored, const Parameters& parameters, const std::string& file_name,
                    const PretrainedOptions& options) {
  const bool has_classifier = std::any_of(options.classifier.begin(), options.classifier.end(),
                                          [&](const std::string& name) { return stored.contains(name); });
  const auto part = [](const std::string& name) { return name.substr(0, name.find('.')); };
  std::set<std::string> parts_in_file;
  for (const auto& [name, tensor] : stored.tensors) parts_in_file.insert(part(name));
  for (const Parameters::Entry& entry : parameters.entries()) {
    const std::string& name = entry.name;
    if (entry.key.kind != Source::Kind::parameter || stored.contains(name)) continue;
    if (options.drop_classifier && options.classifier.count(name)) continue;
    const bool needed = stored.imagenet && !has_classifier ? options.in_backbone && options.in_backbone(name)
                                                           : parts_in_file.count(part(name)) > 0;
    if (needed) throw WeightsError(fmt::format("{}: lacks \"{}\", which the model has", file_name, name));
  }
}

}  // namespace

LoadReport load_pretrained(Parameters& parameters, const Safetensors& file, const std::string& file_name,
                           const PretrainedOptions& options) {
  Stored stored = with_official_names(tensors_of(file, parameters, file_name), parameters);
  if (options.drop_classifier) {
    for (const std::string& name : options.classifier) stored.tensors.erase(name);
  }
  check_shapes(stored, parameters, file_name, options);
  check_complete(stored, parameters, file_name, options);
  std::map<SourceKey, const FileTensor*> tensors;
  for (const auto& [name, tensor] : stored.tensors) tensors[{Source::Kind::parameter, name}] = tensor;
  LoadReport report = load_weights(parameters, tensors, file_name);
  if (report.loaded.empty()) {
    throw WeightsError(
        fmt::format("{}: has no tensor of this model; it has {}", file_name,
                    file.tensors.empty() ? "none at all" : "\"" + file.tensors.begin()->first + "\" ..."));
  }
  return report;
}

}  // namespace psanet::models
