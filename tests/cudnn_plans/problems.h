// Every distinct convolution of our models, as our passes make them.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "engine/device.h"
#include "engine/graph.h"
#include "kernels/cuda/convolution.h"

namespace psanet::tests {

/// By description; with the first model that has it.
using Problems = std::map<std::string, std::pair<kernels::cuda::ConvolutionProblem, std::string>>;

/// The convolutions of the models' training steps at their usual crop, `train_batch` images, and of their evaluation,
/// one image, on a GPU in that precision.
Problems problems_of(const std::vector<std::string>& models, Precision precision, int64_t train_batch);

/// The training step and the evaluation graph that the convolutions are of.
std::vector<Graph> graphs_of(const std::string& model, Precision precision, int64_t train_batch);

}  // namespace psanet::tests
