// Whole networks: inference, and training steps with losses, backward pass and SGD.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "bench/benchmarks.h"
#include "bench/op_bench.h"
#include "layers/passes/passes.h"
#include "models/model_file.h"
#include "models/training_step.h"

namespace psanet::bench {
namespace {

models::Model model_at(const std::string& name, int64_t crop) {
  return models::read_model(name, {{"crop_h", crop}, {"crop_w", crop}});
}

void inference(benchmark::State& state, const std::string& name) {
  const int64_t crop = state.range(0), batch = state.range(1);
  const models::Model model = model_at(name, crop);
  guarded(state, [&] {
    Parameters parameters(device());
    Program program(device(),
                    layers::optimize_for_evaluation(model.build({layers::Mode::eval, batch}), device().target()),
                    parameters);
    fill_inputs(program, 2, 2);
    run_program(state, program);
  });
}

void training(benchmark::State& state, const std::string& name) {
  const int64_t crop = state.range(0), batch = state.range(1);
  const models::Model model = model_at(name, crop);
  models::TrainingOptions options;
  options.aux_weight = model.aux_weight;
  options.rate_factor = [&](const std::string& parameter) { return model.in_backbone(parameter) ? 1.0 : 10.0; };
  options.target = device().target();
  guarded(state, [&] {
    Parameters parameters(device());
    Program program(device(), models::training_step(model.build({layers::Mode::train, batch}), options), parameters);
    fill_inputs(program, 2, static_cast<int>(model.classes));
    program.input("rate").set(std::vector<float>{1e-4f});
    run_program(state, program);
  });
}

}  // namespace

void register_models() {
  const auto add = [](const std::string& what, auto f, const std::string& name, int64_t crop, int64_t batch) {
    Timed* b = timed(what + "/" + name, f, name)->ArgNames({"crop", "batch"})->Args({crop, batch});
    // A known number: the program is made once, not anew for each guess.
    if (!device().is_cpu()) b->Iterations(tiny() ? 2 : 50);
  };
  if (tiny()) {
    for (const char* name : {"psanet18_small", "fcn18_small"}) {
      add("inference", inference, name, 33, 2);
      add("training", training, name, 33, 2);
    }
    return;
  }
  if (device().is_cpu()) {
    for (const char* name : {"psanet50", "psanet101", "fcn50"}) add("inference", inference, name, 465, 1);
    add("inference", inference, "psanet18", 241, 2);
    for (const char* name : {"psanet50", "psanet18"}) add("training", training, name, 241, 2);
    return;
  }
  for (const char* name : {"psanet50", "psanet101", "pspnet50", "fcn50"}) {
    for (int64_t batch : {1, 16}) add("inference", inference, name, 465, batch);
    add("training", training, name, 465, 16);
  }
}

}  // namespace psanet::bench
