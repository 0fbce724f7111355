#include "apps/recipe.h"

#include <fmt/format.h>

#include <fstream>

#include "engine/fields_json.h"
#include "engine/home.h"

namespace psanet::apps {

using nlohmann::json;
using nlohmann::ordered_json;

void AugmentationRecipe::fields(Fields& f) {
  f("scale_min", scale_min, "smallest random scale");
  f("scale_max", scale_max, "largest random scale");
  f("rotate_degrees", rotate_degrees, "rotation is uniform in [-this, this] degrees");
  f("rotate_probability", rotate_probability, "share of samples that are rotated");
  f("blur_probability", blur_probability, "share of samples that are blurred (Gaussian 5x5)");
  f("mirror_probability", mirror_probability, "share of samples that are mirrored");
}

void EvaluationRecipe::fields(Fields& f) {
  f("every", every, "updates between evaluations on the validation split; 0: only at the end");
  f("batch", batch, "windows that go through the network at a time");
  f("samples", samples,
    "images of the split, from its first on, whose predictions are drawn into samples/ and TensorBoard");
  f("base_size", base_size, "long side of the image at scale 1, pixels; 0: as the image");
  f("scales", scales, "scales whose probabilities are averaged");
  f("mirror", mirror, "averages with the mirror image");
  f("protocol", rules, "semseg, caffe, whole or slide (docs/protocols.md)");
  f("stride", stride, "pixels between windows of the protocol slide; 0: two thirds of the crop");
}

models::ProtocolOptions EvaluationRecipe::protocol(const models::PixelInput& input) const {
  models::ProtocolOptions options;
  options.input = input;
  options.base_size = base_size;
  options.scales = scales;
  options.mirror = mirror;
  options.protocol = rules;
  options.stride = stride;
  return options;
}

void Recipe::fields(Fields& f) {
  f("about", about, "one line for people");
  f("model", model, "a model file, or the name of one of ours");
  f("dataset", dataset, "a dataset description, or the name of one of ours");
  f("data_root", data_root, "folder that the list files are relative to");
  f("train_split", train_split, "split to train on");
  f("val_split", val_split, "split to evaluate on; empty: no evaluation");
  f("weights", weights, "safetensors file to start from; empty: from scratch");
  f("drop_classifier", drop_classifier, "the last layers of the heads start anew although `weights` has them");
  f("batch", batch, "images that go through the network at a time");
  f("accumulate", accumulate,
    "batches of one update: their gradients are summed and divided by the valid pixels of all of them");
  f("iterations", iterations, "updates of the whole run; either this or epochs");
  f("epochs", epochs, "passes over the training images: epochs * (images // (batch * accumulate)) updates");
  f("precision", precision, "of activations and convolutions: fp32, tf32 or bf16 (the last two on GPUs)");
  f("seed", seed, "of initial values, order, augmentation and dropout");
  f("workers", workers, "threads that prepare batches (the results do not depend on it)");
  f("cache_mb", cache_mb, "MiB of decoded images that are kept in memory");
  f("save_every", save_every, "updates between saves");
  f("keep_last", keep_last, "newest checkpoints that are kept");
  f("save_best", save_best, "the checkpoint with the best value of this score is kept too; empty: none");
  f("base_rate", base_rate, "learning rate at the start");
  f("power", power, "of the poly schedule: base_rate * (1 - iteration/iterations)^power");
  f("momentum", momentum, "of SGD");
  f("weight_decay", weight_decay, "of SGD, on every parameter");
  f("batch_norm_decay_factor", batch_norm_decay_factor, "factor on the decay of batch norm's parameters; Caffe: 0");
  f("head_rate_factor", head_rate_factor, "factor on the rate of everything that is not backbone");
  f("classifier_bias_rate_factor", classifier_bias_rate_factor,
    "factor on the rate of the biases of the last layers; null: as the rest of the heads; Caffe: 20");
  f("classifier_bias_decay_factor", classifier_bias_decay_factor, "factor on the decay of those biases");
  f("loss_at_scores", loss_at_scores,
    "the loss at the resolution of the network's map (1/8) against the nearest labels, as Caffe has it");
  f("mean_of_ranks", mean_of_ranks,
    "with several ranks: the loss is the mean of each rank's mean over its own valid pixels, as the official code has "
    "it, instead of the mean over those of all ranks");
  f("train_scores", train_scores, "scores of the training batches are logged (mIoU_train and so on)");
  f("augmentation", augmentation, "of training images");
  f("evaluation", evaluation, "the test protocol");
}

ordered_json Recipe::to_json() const {
  Recipe copy = *this;
  ordered_json object = write_fields([&](Fields& f) { copy.fields(f); });
  object["let"] = let;
  return object;
}

int64_t Recipe::updates(int64_t train_samples) const {
  if (epochs == 0) return iterations;
  const int64_t of_epoch = train_samples / (batch * accumulate);
  if (of_epoch == 0) {
    throw ConfigError(fmt::format("batch: {} x accumulate {} is more than the {} training images of an epoch", batch,
                                  accumulate, train_samples));
  }
  return epochs * of_epoch;
}

data::AugmentConfig Recipe::augment_config(const models::Model& m) const {
  data::AugmentConfig config;
  config.scale_min = augmentation.scale_min;
  config.scale_max = augmentation.scale_max;
  config.rotate_degrees = augmentation.rotate_degrees;
  config.rotate_probability = augmentation.rotate_probability;
  config.blur_probability = augmentation.blur_probability;
  config.mirror_probability = augmentation.mirror_probability;
  config.crop_h = static_cast<int>(m.crop_h);
  config.crop_w = static_cast<int>(m.crop_w);
  config.normalisation = {{m.input.mean[0], m.input.mean[1], m.input.mean[2]},
                          {m.input.std[0], m.input.std[1], m.input.std[2]},
                          m.input.bgr};
  return config;
}

std::filesystem::path find_recipe(const std::string& name) {
  const std::filesystem::path ours = home() / "apps" / "recipes";
  for (const std::filesystem::path& candidate : {std::filesystem::path(name), ours / name, ours / (name + ".json")}) {
    if (std::filesystem::is_regular_file(candidate)) return candidate;
  }
  std::vector<std::string> known;
  if (std::filesystem::is_directory(ours)) {
    for (const auto& entry : std::filesystem::directory_iterator(ours)) known.push_back(entry.path().stem().string());
  }
  const std::string like = nearest(std::filesystem::path(name).stem().string(), known);
  throw ConfigError(
      fmt::format("{}: no such recipe{}", name, like.empty() ? "" : fmt::format("; did you mean {}?", like)));
}

namespace {

json parse_file(const std::filesystem::path& file) {
  std::ifstream in(file);
  if (!in) throw ConfigError(fmt::format("{}: cannot be read", file.string()));
  try {
    return json::parse(in, nullptr, true, true);
  } catch (const json::parse_error& e) {
    throw ConfigError(fmt::format("{}: not valid JSON: {}", file.string(), e.what()));
  }
}

/// "augmentation.scale_min=0.7" into the document; the value is JSON, or else a string.
void apply_override(json& document, const std::string& assignment) {
  const size_t equals = assignment.find('=');
  if (equals == std::string::npos || equals == 0) {
    throw ConfigError(fmt::format("--set {}: want key=value, as in batch=4 or let.crop_h=113", assignment));
  }
  json value = json::parse(assignment.substr(equals + 1), nullptr, false);
  if (value.is_discarded()) value = assignment.substr(equals + 1);
  json* at = &document;
  std::string key = assignment.substr(0, equals);
  for (size_t dot; (dot = key.find('.')) != std::string::npos; key = key.substr(dot + 1)) {
    at = &(*at)[key.substr(0, dot)];
    if (!at->is_null() && !at->is_object())
      throw ConfigError(fmt::format("--set {}: {} has no parts", assignment, key.substr(0, dot)));
  }
  (*at)[key] = std::move(value);
}

/// "model" without folder, extension and numbers: "models/psanet50_collect.json" begins with its family, "psanet".
bool is_of_family(const std::string& model, const std::string& family) {
  return std::filesystem::path(model).stem().string().rfind(family, 0) == 0;
}

/// "let_for": {"pspnet": {"crop_h": 473}} holds values of `let`s for models whose names begin so. Those of this model
/// go into "let"; of several the longest name counts.
void choose_lets(json& document, const std::string& where) {
  const auto all = document.find("let_for");
  if (all == document.end()) return;
  const std::string model = document.value("model", json("")).is_string() ? document.value("model", "") : "";
  std::string chosen;
  bool found = false;
  if (!all->is_object()) throw ConfigError(fmt::format("{}.let_for: want an object {{...}}", where));
  for (const auto& [family, lets] : all->items()) {
    if (!lets.is_object()) throw ConfigError(fmt::format("{}.let_for.{}: want an object {{...}}", where, family));
    if (is_of_family(model, family) && (!found || family.size() > chosen.size())) {
      chosen = family;
      found = true;
    }
  }
  const json lets = found ? (*all)[chosen] : json::object();
  document.erase("let_for");
  if (document.contains("let") && document["let"].is_object()) {
    document["let"].update(lets);
  } else if (!document.contains("let") && !lets.empty()) {
    document["let"] = lets;
  }
}

bool sets(const std::string& assignment, const std::string& key) {
  return assignment.rfind(key, 0) == 0;
}

void apply_overrides(json& document, const std::vector<std::string>& overrides, const std::string& where) {
  for (const std::string& assignment : overrides) {
    if (sets(assignment, "iterations=")) document.erase("epochs");
    if (sets(assignment, "epochs=")) document.erase("iterations");
  }
  for (const std::string& assignment : overrides) {
    if (!sets(assignment, "let.")) apply_override(document, assignment);
  }
  choose_lets(document, where);
  for (const std::string& assignment : overrides) {
    if (sets(assignment, "let.")) apply_override(document, assignment);
  }
}

}  // namespace

Recipe read_recipe(const std::filesystem::path& file, const std::vector<std::string>& overrides) {
  json document = parse_file(file);
  const std::string where = file.filename().string();
  if (!document.is_object()) throw ConfigError(fmt::format("{}: want an object {{...}}", where));
  apply_overrides(document, overrides, where);

  Recipe recipe;
  if (auto it = document.find("let"); it != document.end()) {
    if (!it->is_object()) throw ConfigError(fmt::format("{}.let: want an object {{...}}", where));
    recipe.let = *it;
    document.erase(it);
  }
  read_fields(document, where, [&](Fields& f) { recipe.fields(f); });

  const auto positive = [&](const char* key, int64_t value) {
    if (value < 1) throw ConfigError(fmt::format("{}.{}: found {}, want at least 1", where, key, value));
  };
  const auto named = [&](const char* key, const std::string& value) {
    if (value.empty()) throw ConfigError(fmt::format("{}.{}: is not set", where, key));
  };
  named("model", recipe.model);
  named("dataset", recipe.dataset);
  positive("batch", recipe.batch);
  positive("accumulate", recipe.accumulate);
  if (recipe.mean_of_ranks && recipe.accumulate > 1) {
    throw ConfigError(
        fmt::format("{}.mean_of_ranks: found true with accumulate {}, want one of the two", where, recipe.accumulate));
  }
  if (recipe.iterations != 0 && recipe.epochs != 0) {
    throw ConfigError(fmt::format("{}: found iterations {} and epochs {}, want one of the two", where,
                                  recipe.iterations, recipe.epochs));
  }
  if (recipe.epochs == 0) {
    positive("iterations", recipe.iterations);
  } else {
    positive("epochs", recipe.epochs);
  }
  positive("evaluation.batch", recipe.evaluation.batch);
  positive("save_every", recipe.save_every);
  positive("keep_last", recipe.keep_last);
  if (recipe.workers < 0)
    throw ConfigError(fmt::format("{}.workers: found {}, want at least 0", where, recipe.workers));
  if (recipe.evaluation.scales.empty())
    throw ConfigError(fmt::format("{}.evaluation.scales: is empty, want at least one scale", where));
  for (double scale : recipe.evaluation.scales) {
    if (!(scale > 0))
      throw ConfigError(fmt::format("{}.evaluation.scales: found {}, want numbers above 0", where, scale));
  }
  return recipe;
}

namespace {

/// The recipe's `let`s and the dataset's number of classes.
json model_settings(const Recipe& recipe, const data::Dataset& dataset) {
  json settings = recipe.let;
  const int classes = dataset.class_count();
  if (auto it = settings.find("classes"); it != settings.end() && *it != classes) {
    throw ConfigError(
        fmt::format("let.classes: found {}, but the dataset {} has {} classes", it->dump(), dataset.name, classes));
  }
  settings["classes"] = classes;
  return settings;
}

}  // namespace

models::Model read_recipe_model(const Recipe& recipe, const data::Dataset& dataset) {
  return models::read_model(recipe.model, model_settings(recipe, dataset));
}

std::optional<models::ResizableNetwork> resizable_recipe_model(const Recipe& recipe, const data::Dataset& dataset) {
  if (!models::rules_of(recipe.evaluation.rules).whole) return {};
  return models::resizable_network(recipe.model, model_settings(recipe, dataset));
}

std::string document_recipe() {
  return document_struct(Recipe{}) +
         "| `let` | object | {} | values of the model's `let`s, as crop_h and crop_w |\n"
         "| `let_for` | object | {} | by the first letters of a model's name, values of `let`s for such models: "
         "{\"pspnet\": {\"crop_h\": 473}} |\n";
}

}  // namespace psanet::apps
