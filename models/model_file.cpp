#include "models/model_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "engine/error.h"
#include "engine/fields_json.h"
#include "engine/json/text.h"
#include "models/requirement.h"

namespace psanet::models {

using nlohmann::json;
namespace fs = std::filesystem;

enum class ChannelOrder { rgb, bgr };
std::span<const char* const> choices(ChannelOrder) {
  static constexpr const char* kNames[] = {"rgb", "bgr"};
  return kNames;
}

namespace {

/// The key `input` of a model file.
struct InputFields {
  explicit InputFields(const PixelInput& standard)
      : mean(standard.mean.begin(), standard.mean.end()), std(standard.std.begin(), standard.std.end()) {}
  std::vector<double> mean, std;
  ChannelOrder order = ChannelOrder::rgb;
  void fields(Fields& f) {
    f("mean", mean, "of red, green and blue, 0 to 255; also fills what lies outside the image");
    f("std", std, "of red, green and blue: input = (value - mean) / std");
    f("order", order, "of the network's input channels");
  }
};

PixelInput pixel_input(const ModelSource& source) {
  json values = json::object();
  for (const auto& [key, value] : source.input->members()) {
    values[key] = resolved(value, *source.lets);
  }
  const std::string& where = source.input->where();
  InputFields read{PixelInput{}};
  read_struct(values, where, read);
  PixelInput input;
  input.bgr = read.order == ChannelOrder::bgr;
  const auto three = [&](const char* key, const std::vector<double>& from, double above, std::array<float, 3>& to) {
    const bool good = from.size() == 3 && std::all_of(from.begin(), from.end(), [&](double v) { return v > above; });
    if (!good) {
      throw ConfigError(fmt::format("{}.{}: found {}, want three numbers{}: red, green, blue", where, key,
                                    shown(values[key]), above == 0 ? " above 0" : ""));
    }
    std::transform(from.begin(), from.end(), to.begin(), [](double v) { return static_cast<float>(v); });
  };
  three("mean", read.mean, std::numeric_limits<double>::lowest(), input.mean);
  three("std", read.std, 0, input.std);
  return input;
}

/// Every model has these.
int64_t positive(const ModelSource& source, const std::string& name) {
  if (!source.lets->defines(name)) {
    throw ConfigError(fmt::format("{}: let: no \"{}\"; every model has classes, crop_h and crop_w", source.file, name));
  }
  const Scalar value = *source.lets->find(name);
  const auto* integer = std::get_if<int64_t>(&value);
  constexpr int64_t kMost = std::numeric_limits<int32_t>::max();
  if (!integer || *integer < 1 || *integer > kMost) {
    throw ConfigError(
        fmt::format("{}: found {}, want an integer from 1 to {}", source.lets->where(name), show(value), kMost));
  }
  return *integer;
}

std::optional<double> auxiliary_weight(const ModelSource& source) {
  const bool has_head = source.outputs.count("aux") > 0;
  const bool has_weight = source.lets->defines("aux_weight");
  if (has_head && !has_weight) {
    throw ConfigError(fmt::format(
        "{}: outputs.aux: no let \"aux_weight\"; an auxiliary output wants the weight of its loss", source.file));
  }
  if (!has_weight) return {};
  const std::string where = source.lets->where("aux_weight");
  const Scalar value = *source.lets->find("aux_weight");
  if (is_null(value)) return {};
  const auto* number = std::get_if<double>(&value);
  const auto* integer = std::get_if<int64_t>(&value);
  const double weight = number ? *number : integer ? static_cast<double>(*integer) : -1.0;
  if (!(weight >= 0)) {
    throw ConfigError(
        fmt::format("{}: found {}, want a number of at least 0, or null for no auxiliary head", where, show(value)));
  }
  if (!has_head) {
    throw ConfigError(fmt::format("{}: found {}, want null: the model has no outputs.aux", where, show(value)));
  }
  return weight;
}

[[noreturn]] void no_node(const std::string& name, const std::string& where, const std::vector<std::string>& known) {
  throw ConfigError(fmt::format("{}: there is no node \"{}\"{}; known names: {}", where, printed(name),
                                did_you_mean(name, known), listed(known)));
}

void find_outputs(const ModelSource& source, const Expansion& expansion, Model& model) {
  if (!source.outputs.count("logits")) {
    throw ConfigError(
        fmt::format("{}: outputs: no \"logits\", want the name of the node with the class scores", source.file));
  }
  for (const auto& [output, node] : source.outputs) {
    const std::string where = fmt::format("{}: outputs.{}", source.file, output);
    const auto it = expansion.ends.find(node);
    if (it == expansion.ends.end()) {
      no_node(node, where, expansion.parts);
    }
    model.outputs[output] = it->second;
    model.outputs_where[output] = where;
  }
}

void check_backbone(const ModelSource& source, const Expansion& expansion) {
  for (const auto& [name, where] : source.backbone) {
    if (!expansion.ends.count(name)) no_node(name, where, expansion.parts);
  }
}

}  // namespace

Graph Model::build(const BuildOptions& options) const {
  if (options.batch < 1) throw ConfigError(fmt::format("{}: batch {}, want at least 1", file, options.batch));
  std::vector<std::string> wanted = {"logits"};
  if (options.mode == layers::Mode::train && aux_weight) wanted.push_back("aux");

  std::vector<bool> needed(nodes.size(), false);
  const auto need = [&](int index) {
    if (index != kImage) needed[static_cast<size_t>(index)] = true;
  };
  for (const std::string& output : wanted) need(outputs.at(output));
  for (size_t i = nodes.size(); i-- > 0;) {
    if (!needed[i]) continue;
    for (int from : nodes[i].inputs) need(from);
  }

  Graph graph;
  const Type pixels = f32({options.batch, crop_h, crop_w, 3});
  check_size(pixels, file + ": the image");
  const Value image = graph.input("image", pixels);
  Values values(nodes.size());
  const auto value_of = [&](int index) { return index == kImage ? image : values[static_cast<size_t>(index)]; };
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (!needed[i]) continue;
    Values inputs;
    for (int from : nodes[i].inputs) inputs.push_back(value_of(from));
    try {
      values[i] = nodes[i].layer->build({graph, options.mode, nodes[i].path}, inputs);
    } catch (const ConfigError& e) {
      const std::string message = e.what();
      const bool named = message.compare(0, nodes[i].path.size(), nodes[i].path) == 0;
      throw ConfigError(fmt::format("{}: {}{}", nodes[i].where, named ? "" : nodes[i].path + ": ", message));
    }
  }
  for (const std::string& output : wanted) {
    const Value value = value_of(outputs.at(output));
    const Type& type = graph.type(value);
    if (type.rank() != 4 || type[-1] != classes) {
      throw ConfigError(fmt::format("{}: found {}, want [batch, h, w, {}]: a score for each of the {} classes",
                                    outputs_where.at(output), to_string(type), classes, classes));
    }
    graph.output(output, value);
  }
  return graph;
}

std::string Model::part_of(const std::string& name) const {
  for (size_t end = name.size();; end = name.rfind('.', end - 1)) {
    if (end == std::string::npos || end == 0) return "";
    const std::string front = name.substr(0, end);
    if (backbone_of_parts.count(front)) return front;
  }
}

bool Model::in_backbone(const std::string& name) const {
  const auto part = backbone_of_parts.find(part_of(name));
  return part != backbone_of_parts.end() && part->second;
}

namespace {

/// Our models by name, each with its file: a file is one model of its own name, or those of its `names`.
/// `damaged` gets what is wrong with a file that cannot be read.
std::map<std::string, fs::path> models_by_name(std::string& damaged) {
  std::map<std::string, fs::path> models;
  std::error_code none;
  for (fs::directory_iterator at(models_dir(), none), end; !none && at != end; at.increment(none)) {
    if (at->path().extension() != ".json") continue;
    std::vector<std::string> names;
    try {
      names = names_of_models(at->path());
    } catch (const ConfigError& e) {
      damaged = fmt::format("; {}", e.what());
    }
    if (names.empty()) names = {at->path().stem().string()};
    for (const std::string& name : names) models.emplace(name, at->path());
  }
  return models;
}

/// What `name` is in our folder: "psanet50" for that, with or without ".json", with or without the folder.
std::string own_name(const fs::path& name) {
  std::error_code none;
  const bool ours = !name.has_parent_path() || fs::equivalent(name.parent_path(), models_dir(), none);
  return !ours ? "" : name.extension() == ".json" ? name.stem().string() : name.filename().string();
}

}  // namespace

ModelFile find_model(const std::string& name) {
  std::error_code none;
  if (fs::is_regular_file(name, none)) return {name, ""};
  std::string damaged;
  const std::map<std::string, fs::path> models = models_by_name(damaged);
  if (const auto found = models.find(own_name(name)); found != models.end()) return {found->second, found->first};
  for (const char* ending : {"", ".json"}) {
    const fs::path ours = models_dir() / (name + ending);  // in a folder of its own
    if (fs::is_regular_file(ours, none) && !fs::equivalent(ours.parent_path(), models_dir(), none)) return {ours, ""};
  }
  std::vector<std::string> known;
  for (const auto& [model, file] : models) known.push_back(model);
  throw ConfigError(fmt::format("{}: no such model file{}; want a path or one of {}{}", printed(name, 300),
                                did_you_mean(fs::path(name).stem().string(), known), listed(known), damaged));
}

std::vector<std::string> our_models() {
  std::vector<std::string> names;
  std::string damaged;
  for (const auto& [name, file] : models_by_name(damaged)) names.push_back(name);
  return names;
}

Model read_model(const std::string& name, const json& settings, std::span<const layers::Word> words) {
  const ModelSource source = read_model_source(find_model(name), settings);
  check_requirements(source);
  Model model;
  model.file = source.file;
  model.about = source.about;
  model.lets = source.lets->values();
  model.classes = positive(source, "classes");
  model.crop_h = positive(source, "crop_h");
  model.crop_w = positive(source, "crop_w");
  model.input = pixel_input(source);
  model.aux_weight = auxiliary_weight(source);
  Expansion expansion = expand(source, words);
  check_backbone(source, expansion);
  find_outputs(source, expansion, model);
  for (const std::string& part : expansion.parts) model.backbone_of_parts[part] = false;
  for (const NamedAt& part : source.backbone) {
    model.backbone.push_back(part.name);
    model.backbone_of_parts[part.name] = true;
  }
  model.parts = std::move(expansion.parts);
  model.nodes = std::move(expansion.nodes);
  return model;
}

Model read_model(const std::string& name, const json& settings) {
  return read_model(name, settings, layers::words());
}

Model read_model(const std::string& name) {
  return read_model(name, json::object());
}

void add_setting(json& settings, const std::string& assignment) {
  const auto [name, text] = split_setting(assignment, "--set");
  settings[name] = parse_setting(text, "--set " + printed(name));
}

}  // namespace psanet::models
