// A golden network: the file, the model it was made with, and our parameters with its hash weights.
#pragma once

#include <memory>
#include <string>

#include "engine/program.h"
#include "models/model_file.h"
#include "tests/support/golden_file.h"
#include "tests/support/test_device.h"

namespace psanet::tests {

class GoldenNetwork {
 public:
  /// `name`: of the file in the golden folder, without ".safetensors".
  GoldenNetwork(const std::filesystem::path& dir, const std::string& name);

  const GoldenFile file;
  const models::Model model;
  const uint64_t seed;
  const bool tight;
  const int64_t batch;
  Device device = test_device();
  Parameters parameters;

  /// A program of the model's graph or of a graph made from it; its parameters have hash values if nobody set them.
  std::unique_ptr<Program> program(Graph graph);
  /// Hash values for all parameters, again.
  void reset();

  /// The parameter's gradient, or its value, as a file has it (NCHW, OIHW), in double.
  HostTensor file_order(const std::string& name, const Tensor& tensor) const;

  /// Input image and labels by their names in the hash scheme.
  HostTensor image(const std::string& name) const;
  HostTensor labels(const std::string& name) const;
};

}  // namespace psanet::tests
