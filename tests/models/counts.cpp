// Operations, launches and memory of whole programs: counts, not times.
#include <nlohmann/json.hpp>

#include "engine/program.h"
#include "layers/passes/passes.h"
#include "models/model_file.h"
#include "models/training_step.h"
#include "tests/support/catch.h"

namespace psanet::models {
namespace {

struct Counts {
  double evaluation_flops, training_flops;
  int64_t evaluation_launches, training_launches, training_peak_bytes;
};

Counts counts(const std::string& name, int64_t crop, int64_t batch) {
  const Model model = read_model(name, {{"crop_h", crop}, {"crop_w", crop}});
  Device device = Device::cpu(1);
  Parameters for_evaluation(device), for_training(device);
  const Program evaluation(device, layers::optimize_for_evaluation(model.build({layers::Mode::eval, batch})),
                           for_evaluation);
  TrainingOptions options;
  options.aux_weight = model.aux_weight;
  const Program training(device, training_step(model.build({layers::Mode::train, batch}), options), for_training);
  return {evaluation.flops(), training.flops(), evaluation.launches(), training.launches(),
          training.memory().peak_bytes()};
}

TEST_CASE("PSANet-50 at 465 does the operations that the paper's network has, and no more") {
  const Counts c = counts("psanet50", 465, 1);
  // Counted by hand for crop 465, 150 classes: 340 GFLOP of inference less 11 of reduce convolutions whose results the
  // shrink drops, 1071 GFLOP of a step. Half of the head's 3x3 convolution reads a map that was enlarged from 30 to 59
  // places a side: 2 * 9 * 2048 * 512 operations at 30^2 places instead of 59^2.
  const double spared = 2.0 * 9 * 2048 * 512 * (59 * 59 - 30 * 30) / 1e9;
  CHECK(c.evaluation_flops / 1e9 == Approx(329.5 - spared).epsilon(0.002));
  CHECK(c.training_flops / 1e9 == Approx(1070.9 - 3 * spared).epsilon(0.002));
}

TEST_CASE("operations grow with the number of pixels, but for the attention itself, launches not at all") {
  const Counts small = counts("psanet18", 113, 1), large = counts("psanet18", 225, 1),
               batch = counts("psanet18", 113, 4);
  // Maps of 15 and 29 places a side, attention on 8 and 15: 3.7 times the positions, 12.4 times the pairs.
  const double pixels = 29.0 * 29 / (15 * 15);
  CHECK(large.training_flops / small.training_flops > 0.95 * pixels);
  CHECK(large.training_flops / small.training_flops < 1.25 * pixels);
  CHECK(batch.training_flops == Approx(4 * small.training_flops).epsilon(1e-9));
  CHECK(large.training_launches == small.training_launches);
  CHECK(batch.training_launches == small.training_launches);
  CHECK(large.evaluation_launches == small.evaluation_launches);
  CHECK(static_cast<double>(batch.training_peak_bytes) < 4.0 * static_cast<double>(small.training_peak_bytes));
}

TEST_CASE("the memory in use is known for every node, and the arena is hardly larger than its peak") {
  const Model model = read_model("psanet18", {{"crop_h", 113}, {"crop_w", 113}});
  Device device = Device::cpu(1);
  Parameters parameters(device);
  const Program training(device, training_step(model.build({layers::Mode::train, 2}), {}), parameters);
  int64_t nodes = 0, peak = 0;
  training.for_live_bytes([&](const Node&, int64_t bytes) {
    ++nodes;
    peak = std::max(peak, bytes);
  });
  CHECK(nodes == training.launches());
  CHECK(peak == training.memory().arena_live_bytes);
  CHECK(static_cast<double>(training.memory().arena_bytes) < 1.1 * static_cast<double>(peak));
}

TEST_CASE("without PSA a network does less") {
  CHECK(counts("fcn18", 113, 1).evaluation_flops < counts("psanet18", 113, 1).evaluation_flops);
}

}  // namespace
}  // namespace psanet::models
