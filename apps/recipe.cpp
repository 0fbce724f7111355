#include "apps/recipe.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "engine/fields_json.h"
#include "engine/home.h"
#include "engine/json/reader.h"
#include "engine/json/text.h"

namespace psanet::apps {

using nlohmann::json;
using nlohmann::ordered_json;

namespace {
constexpr int64_t kMostUpdates = 1'000'000'000, kMostBatch = 65536, kMostPixels = 65535;
constexpr double kSmallestScale = 1.0 / 64, kLargestScale = 64;
}  // namespace

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
  if (of_epoch > kMostUpdates / epochs) {
    throw ConfigError(
        fmt::format("epochs: {} of {} updates, want at most {} updates in all", epochs, of_epoch, kMostUpdates));
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
  std::error_code none;
  for (const std::filesystem::path& candidate : {std::filesystem::path(name), ours / name, ours / (name + ".json")}) {
    if (std::filesystem::is_regular_file(candidate, none)) return candidate;
  }
  std::vector<std::string> known;
  for (const auto& entry : std::filesystem::directory_iterator(ours, none))
    known.push_back(entry.path().stem().string());
  const std::string like = nearest(std::filesystem::path(name).stem().string(), known);
  throw ConfigError(
      fmt::format("{}: no such recipe{}", name, like.empty() ? "" : fmt::format("; did you mean {}?", like)));
}

namespace {

constexpr int64_t kMostDots = 8;  // in the name of a setting

/// "augmentation.scale_min=0.7" into the document; the value is JSON, or else a string.
void apply_override(json& document, const std::string& assignment) {
  auto [key, text] = split_setting(assignment, "--set", true);
  json value = parse_setting(text, "--set " + printed(key));
  if (!is_utf8(key) || std::count(key.begin(), key.end(), '.') > kMostDots) {
    throw ConfigError(fmt::format("--set {}: want the name of a value, as batch or let.crop_h", printed(assignment)));
  }
  json* at = &document;
  for (size_t dot; (dot = key.find('.')) != std::string::npos; key = key.substr(dot + 1)) {
    at = &(*at)[key.substr(0, dot)];
    if (!at->is_null() && !at->is_object()) {
      throw ConfigError(fmt::format("--set {}: {} has no parts", printed(assignment), printed(key.substr(0, dot))));
    }
  }
  (*at)[key] = std::move(value);
}

/// "model" without folder and extension: "psanet50_collect" begins with its family, "psanet".
bool is_of_family(const std::string& model, const std::string& family) {
  return std::filesystem::path(model).stem().string().rfind(family, 0) == 0;
}

/// "let_for": {"pspnet": {"crop_h": 473}} holds values of `let`s for models whose names begin so. Those of this model
/// go into "let"; of several the longest name counts.
void choose_lets(json& document, const std::string& where) {
  const JsonReader reader(document, where);
  const auto named = document.find("model");
  const std::string model = named != document.end() && named->is_string() ? named->get<std::string>() : "";
  json lets = json::object();
  std::optional<size_t> longest;
  for (const auto& [family, of_family] : reader.members_of("let_for")) {
    of_family.members();
    if (!is_of_family(model, family) || (longest && family.size() <= *longest)) continue;
    longest = family.size();
    lets = of_family.value();
  }
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

namespace {

template <class T>
void check_range(const std::string& path, T value, T low, T high) {
  if (value < low) throw ConfigError(fmt::format("{}: found {}, want at least {}", path, value, low));
  if (value > high) throw ConfigError(fmt::format("{}: found {}, want at most {}", path, value, high));
}

/// Every number within what the program can count and hold.
void check_numbers(const Recipe& r, const std::string& where) {
  const auto integer = [&](const char* key, int64_t value, int64_t low, int64_t high) {
    check_range(fmt::format("{}.{}", where, key), value, low, high);
  };
  integer("batch", r.batch, 1, kMostBatch);
  integer("accumulate", r.accumulate, 1, 4096);
  integer(r.epochs == 0 ? "iterations" : "epochs", r.epochs == 0 ? r.iterations : r.epochs, 1, kMostUpdates);
  integer("workers", r.workers, 0, 1024);
  integer("cache_mb", r.cache_mb, 0, int64_t{1} << 30);
  integer("save_every", r.save_every, 1, kMostUpdates);
  integer("keep_last", r.keep_last, 1, kMostUpdates);
  check_evaluation(r.evaluation, where + ".evaluation");
}

}  // namespace

void check_evaluation(const EvaluationRecipe& e, const std::string& where) {
  check_range(where + ".every", e.every, int64_t{0}, kMostUpdates);
  check_range(where + ".batch", e.batch, int64_t{1}, kMostBatch);
  check_range(where + ".samples", e.samples, int64_t{0}, kMostUpdates);
  check_range(where + ".base_size", e.base_size, int64_t{0}, kMostPixels);
  check_range(where + ".stride", e.stride, int64_t{0}, kMostPixels);
  check_scales(e.scales, where + ".scales");
}

void check_scales(const std::vector<double>& scales, const std::string& where) {
  if (scales.empty()) throw ConfigError(fmt::format("{}: is empty, want at least one scale", where));
  for (const double scale : scales) {
    if (!(scale > 0)) throw ConfigError(fmt::format("{}: found {}, want numbers above 0", where, scale));
    check_range(where, scale, kSmallestScale, kLargestScale);
  }
}

Recipe read_recipe(const std::filesystem::path& file, const std::vector<std::string>& overrides) {
  json document = read_json(file, raise<ConfigError>);
  const std::string where = file.filename().string();
  JsonReader(document, where).members();
  apply_overrides(document, overrides, where);

  Recipe recipe;
  if (auto it = document.find("let"); it != document.end()) {
    JsonReader(*it, where + ".let").members();
    recipe.let = *it;
    document.erase(it);
  }
  read_fields(document, where, [&](Fields& f) { recipe.fields(f); });

  const auto named = [&](const char* key, const std::string& value) {
    if (value.empty()) throw ConfigError(fmt::format("{}.{}: is not set", where, key));
  };
  named("model", recipe.model);
  named("dataset", recipe.dataset);
  if (recipe.mean_of_ranks && recipe.accumulate > 1) {
    throw ConfigError(
        fmt::format("{}.mean_of_ranks: found true with accumulate {}, want one of the two", where, recipe.accumulate));
  }
  if (recipe.iterations != 0 && recipe.epochs != 0) {
    throw ConfigError(fmt::format("{}: found iterations {} and epochs {}, want one of the two", where,
                                  recipe.iterations, recipe.epochs));
  }
  check_numbers(recipe, where);
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
