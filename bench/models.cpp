// Whole networks: inference, and training steps with losses, backward pass and SGD.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "bench/op_bench.h"
#include "layers/passes.h"
#include "models/model_file.h"
#include "models/training_step.h"

namespace psanet::bench {
namespace {

models::Model model_at(const char* name, int64_t crop) {
  return models::read_model(name, {{"crop_h", crop}, {"crop_w", crop}});
}

void inference(benchmark::State& state, const char* name) {
  const int64_t crop = state.range(0), batch = state.range(1);
  const models::Model model = model_at(name, crop);
  Device device = Device::cpu();
  Parameters parameters(device);
  Program program(device, layers::optimize_for_evaluation(model.build({layers::Mode::eval, batch})), parameters);
  fill_inputs(program, 2, 2);
  run_program(state, program);
}

void training(benchmark::State& state, const char* name) {
  const int64_t crop = state.range(0), batch = state.range(1);
  const models::Model model = model_at(name, crop);
  models::TrainingOptions options;
  options.aux_weight = model.aux_weight;
  options.rate_factor = [&](const std::string& parameter) { return model.in_backbone(parameter) ? 1.0 : 10.0; };
  Device device = Device::cpu();
  Parameters parameters(device);
  Program program(device, models::training_step(model.build({layers::Mode::train, batch}), options), parameters);
  fill_inputs(program, 2, static_cast<int>(model.classes));
  program.input("rate").set(std::vector<float>{1e-4f});
  run_program(state, program);
}

void shape(benchmark::internal::Benchmark* b, int64_t crop, int64_t batch) {
  b->ArgNames({"crop", "batch"})->Args({crop, batch})->Unit(benchmark::kMillisecond)->UseRealTime();
}
BENCHMARK_CAPTURE(inference, psanet50, "psanet50")->Apply([](auto* b) { shape(b, 465, 1); });
BENCHMARK_CAPTURE(inference, psanet101, "psanet101")->Apply([](auto* b) { shape(b, 465, 1); });
BENCHMARK_CAPTURE(inference, fcn50, "fcn50")->Apply([](auto* b) { shape(b, 465, 1); });
BENCHMARK_CAPTURE(inference, psanet18, "psanet18")->Apply([](auto* b) { shape(b, 241, 2); });
BENCHMARK_CAPTURE(training, psanet50, "psanet50")->Apply([](auto* b) { shape(b, 241, 2); });
BENCHMARK_CAPTURE(training, psanet18, "psanet18")->Apply([](auto* b) { shape(b, 241, 2); });

}  // namespace
}  // namespace psanet::bench
