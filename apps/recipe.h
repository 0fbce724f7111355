// A recipe: everything a training run depends on, as JSON.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "data/augment.h"
#include "data/dataset.h"
#include "engine/device.h"
#include "engine/fields.h"
#include "models/model_file.h"
#include "models/prediction.h"

namespace psanet::apps {

struct AugmentationRecipe {
  double scale_min = 0.5, scale_max = 2;
  double rotate_degrees = 10, rotate_probability = 0.5, blur_probability = 0.5, mirror_probability = 0.5;
  void fields(Fields& f);
};

struct EvaluationRecipe {
  int64_t every = 0;
  int64_t batch = 2;
  int64_t samples = 4;
  int64_t base_size = 0;
  std::vector<double> scales = {1.0};
  bool mirror = true;
  models::Protocol rules = models::Protocol::semseg;
  int64_t stride = 0;
  void fields(Fields& f);
  /// `input`: the model's.
  models::ProtocolOptions protocol(const models::PixelInput& input) const;
};

struct Recipe {
  std::string about;
  std::string model;
  nlohmann::json let = nlohmann::json::object();  // values for the model's `let`s
  std::string dataset, data_root, train_split = "train", val_split = "val";
  std::string weights;
  bool drop_classifier = false;
  int64_t batch = 16, accumulate = 1, iterations = 0, epochs = 0, seed = 1, workers = 2, cache_mb = 1024,
          save_every = 1000, keep_last = 2;
  std::string save_best = "mIoU_val";
  Precision precision = Precision::fp32;
  double base_rate = 0.01, power = 0.9, momentum = 0.9, weight_decay = 1e-4, head_rate_factor = 10;
  double batch_norm_decay_factor = 1, classifier_bias_decay_factor = 1;
  std::optional<double> classifier_bias_rate_factor;
  bool loss_at_scores = false, mean_of_ranks = false, train_scores = true;
  AugmentationRecipe augmentation;
  EvaluationRecipe evaluation;

  void fields(Fields& f);  // all but `let`

  nlohmann::ordered_json to_json() const;
  /// Updates of the whole run: `iterations`, or as many as `epochs` take; ConfigError if they are none.
  int64_t updates(int64_t train_samples) const;
  data::AugmentConfig augment_config(const models::Model& m) const;
};

/// The file of a recipe: a path, or the name of one of ours with or without ".json".
std::filesystem::path find_recipe(const std::string& name);

/// Reads a recipe file and applies overrides "key=value" ("batch=4", "let.crop_h=113", "augmentation.scale_min=1").
/// An override of iterations takes the place of the file's epochs, and the other way round. Values under "let_for" of
/// the model's family go into `let`, under those of "let." overrides. ConfigError names the file and the key.
Recipe read_recipe(const std::filesystem::path& file, const std::vector<std::string>& overrides);

/// Throws ConfigError, which begins with `where`, unless every number is within what a test protocol can be run with.
void check_evaluation(const EvaluationRecipe& evaluation, const std::string& where);
/// The same unless there are scales, each from 1/64 to 64.
void check_scales(const std::vector<double>& scales, const std::string& where);

/// Markdown: every key of a recipe (docs/training.md is made of it).
std::string document_recipe();

/// The recipe's model for a dataset: `classes` is the dataset's (ConfigError if the recipe says otherwise).
models::Model read_recipe_model(const Recipe& recipe, const data::Dataset& dataset);
/// The same model for other sizes, if the recipe's test protocol needs that.
std::optional<models::ResizableNetwork> resizable_recipe_model(const Recipe& recipe, const data::Dataset& dataset);

}  // namespace psanet::apps
