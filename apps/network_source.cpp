#include "apps/network_source.h"

#include <fmt/format.h>

#include "engine/error.h"
#include "models/weights_file.h"

namespace psanet::apps {

void NetworkOptions::add_to(App& app, const std::string& run_option) {
  app.option(run_option, run_folder, "folder of a training run (gives model, dataset and weights)");
  app.option("--model", model, "model file, or the name of one of ours (without a run folder)");
  app.assignments("--set", settings, "values of the model's `let`s: k=v");
  app.option("--weights", weights, "safetensors file (default: the run's weights.safetensors)");
  app.option("--dataset", dataset, "dataset description, or the name of one of ours: class names and colours");
  app.option("--data-root", data_root, "folder of the dataset");
  app.option("--protocol", protocol, "semseg, caffe, whole or slide (docs/protocols.md)");
  app.option("--stride", stride, "pixels between windows of the protocol slide (0: two thirds of the crop)");
  app.option("--scales", scales, "scales to average, as --scales 0.5,0.75,1,1.25,1.5,1.75");
  app.option("--base-size", base_size, "long side of the image at scale 1 (0: as the image)");
  app.option("--batch", batch, "windows at a time; results do not depend on it", 1);
  app.flag("--no-mirror", no_mirror, "no averaging with the mirror image");
  crf.add_to(app);
  app.add_device();
}

namespace {

Recipe recipe_of(const NetworkOptions& o) {
  Recipe recipe;
  if (!o.run_folder.empty()) {
    const std::filesystem::path folder(o.run_folder);
    if (std::error_code none; !std::filesystem::is_regular_file(folder / "recipe.json", none)) {
      throw ConfigError(fmt::format("{}: no run folder (it has no recipe.json)", o.run_folder));
    }
    recipe = read_recipe(folder / "recipe.json", {});
    recipe.weights = (folder / "weights.safetensors").string();
  } else if (o.model.empty() || o.weights.empty() || o.dataset.empty()) {
    throw ConfigError("want a run folder, or --model, --weights and --dataset");
  }
  if (!o.model.empty()) recipe.model = o.model;
  if (!o.dataset.empty()) recipe.dataset = o.dataset;
  if (!o.data_root.empty()) recipe.data_root = o.data_root;
  if (!o.weights.empty()) recipe.weights = o.weights;
  if (!o.scales.empty()) recipe.evaluation.scales = o.scales;
  if (o.base_size >= 0) recipe.evaluation.base_size = o.base_size;
  if (o.batch > 0) recipe.evaluation.batch = o.batch;
  if (o.no_mirror) recipe.evaluation.mirror = false;
  if (!o.protocol.empty()) recipe.evaluation.rules = models::protocol_named(o.protocol);
  if (o.stride > 0) recipe.evaluation.stride = o.stride;
  for (const std::string& setting : o.settings) models::add_setting(recipe.let, setting);
  check_scales(recipe.evaluation.scales, "--scales");
  check_evaluation(recipe.evaluation, "evaluation");
  return recipe;
}

/// The command line's precision, or else the one that the network was trained in, where the device can.
DeviceChoice with_precision_of(const Recipe& recipe, DeviceChoice choice) {
  const bool on_cpu = choice.device == "cpu" || (choice.device == "auto" && !Device::has_gpu());
  if (choice.precision.empty() && !on_cpu) choice.precision = name(recipe.precision);
  return choice;
}

/// Reads the weights before memory is taken for anything else.
Parameters& loaded(Parameters& parameters, const Graph& graph, const std::string& file) {
  const Safetensors weights = read_safetensors(file);
  parameters.add(graph, 0);
  const models::LoadReport report = models::load_weights(parameters, weights, file, false);
  if (!report.missing.empty()) {
    throw WeightsError(fmt::format("{}: does not fit the model: {}", file, models::describe(report)));
  }
  return parameters;
}

}  // namespace

Network::Network(const NetworkOptions& options, const DeviceChoice& choice)
    : crf(options.crf.wanted() ? std::optional(options.crf.parameters()) : std::nullopt),
      recipe(recipe_of(options)),
      dataset(data::load_dataset(recipe.dataset)),
      model(read_recipe_model(recipe, dataset)),
      evaluation(model.build({layers::Mode::eval, recipe.evaluation.batch})),
      device(with_precision_of(recipe, choice).open()),
      parameters(device),
      predictor(device, evaluation, loaded(parameters, evaluation, recipe.weights),
                recipe.evaluation.protocol(model.input), resizable_recipe_model(recipe, dataset)),
      crf_threads_(static_cast<int>(choice.threads)) {
  if (crf) check_crf_classes(recipe.model, predictor.classes());
}

data::LabelMap Network::labels(const data::Image& image) {
  const data::FloatImage pixels(image);
  const models::FloatImageView view{pixels.height, pixels.width, pixels.pixels.data()};
  if (crf) return crf_labels(crf_threads_, *crf, image, predictor.probabilities(view), predictor.classes());
  data::LabelMap map(image.height, image.width);
  map.labels = predictor.labels(view);
  return map;
}

std::string Network::describe() const {
  return recipe.evaluation.protocol(model.input).describe() + (crf ? apps::describe(*crf) : "");
}

}  // namespace psanet::apps
