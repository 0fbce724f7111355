// Which network psanet-eval and psanet-predict run: a run folder, or a model with weights.
#pragma once

#include <optional>

#include "apps/app.h"
#include "apps/crf_options.h"
#include "apps/recipe.h"
#include "models/prediction.h"

namespace psanet::apps {

struct NetworkOptions {
  std::string run_folder;  // positional
  std::string model, dataset, data_root, weights;
  std::vector<std::string> settings;  // --set of the model
  std::vector<double> scales;
  int64_t base_size = -1, batch = 0, stride = 0;
  std::string protocol;
  bool no_mirror = false;
  CrfOptions crf;
  /// `run_option`: how the run folder is named, "run" (positional) or "--run".
  void add_to(App& app, const std::string& run_option = "run");
};

/// A network with its weights, ready to predict.
struct Network {
  Network(const NetworkOptions& options, const DeviceChoice& choice);

  /// The label map of a photograph at its own size, after the CRF if it was asked for.
  data::LabelMap labels(const data::Image& image);
  /// How figures are made: the protocol, and the CRF.
  std::string describe() const;

  std::optional<kernels::DenseCrfParameters> crf;
  Recipe recipe;  // of the run folder, with the options applied
  data::Dataset dataset;
  models::Model model;
  Graph evaluation;
  Device device;
  Parameters parameters;
  models::Predictor predictor;

 private:
  int crf_threads_;
};

}  // namespace psanet::apps
