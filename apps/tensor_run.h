// A model on tensors from a file (psanet-run).
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "apps/app.h"

namespace psanet::apps {

struct TensorRun {
  std::string model;
  std::vector<std::string> settings;
  std::filesystem::path weights, input, output;
  bool gradients = false, trace = false;
  int64_t steps = 0, seed = 1;
  double base_rate = 0.01, momentum = 0.9, weight_decay = 1e-4, head_rate_factor = 10;
  DeviceChoice device;

  /// Reads, computes, writes. Throws ConfigError, DataError (tensors that do not fit the model), WeightsError.
  void execute() const;
};

}  // namespace psanet::apps
