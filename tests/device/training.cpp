// A whole network on the CUDA backend: training and evaluation beside the processor, bf16 beside float, recorded runs
// beside launched ones.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "engine/program.h"
#include "engine/random.h"
#include "layers/passes/passes.h"
#include "layers/sgd.h"
#include "models/model_file.h"
#include "models/prediction.h"
#include "models/training_step.h"
#include "tests/device/devices.h"
#include "tests/support/ours_only.h"

#ifdef PSANET_CUDA_EMULATED
#include PSANET_CUDA_EMULATED
#endif

namespace psanet::tests {
namespace {

constexpr int64_t kBatch = 2, kClasses = 5, kHeight = 33, kWidth = 49;

/// psanet18_small, small enough for the emulation.
models::Model tiny_model() {
  return models::read_model("psanet18_small", {{"classes", kClasses},
                                               {"crop_h", kHeight},
                                               {"crop_w", kWidth},
                                               {"stem_1", 8},
                                               {"stem_2", 8},
                                               {"stem_3", 16},
                                               {"psa_channels", 16}});
}

models::TrainingOptions training_options(const models::Model& model, Target target) {
  models::TrainingOptions options;
  options.aux_weight = model.aux_weight;
  options.target = target;
  options.rate_factor = [&](const std::string& name) { return model.in_backbone(name) ? 1.0 : 10.0; };
  options.confusion = true;
  return options;
}

Graph training_graph(const models::Model& model, const models::TrainingOptions& options) {
  return models::training_step(model.build({layers::Mode::train, kBatch}), options);
}

Graph training_graph(const models::Model& model, Target target) {
  return training_graph(model, training_options(model, target));
}

std::vector<float> noise(int64_t count, const std::string& name) {
  std::vector<float> values(static_cast<size_t>(count));
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(random_unit(hash_name(name), i));
  return values;
}

/// A picture that can be learnt: brightness tells the class.
void set_batch(Program& program, int64_t step) {
  Tensor image = program.input("image"), label = program.input("label");
  std::vector<float> pixels = noise(image.type().elements(), "image");
  std::vector<uint8_t> labels(static_cast<size_t>(label.type().elements()));
  for (size_t i = 0; i < labels.size(); ++i) {
    const size_t column = i % static_cast<size_t>(kWidth);
    labels[i] = static_cast<uint8_t>(column * static_cast<size_t>(kClasses) / static_cast<size_t>(kWidth));
    if (i % 11 == 0) labels[i] = 255;
    for (size_t c = 0; c < 3; ++c)
      pixels[3 * i + c] = 0.3f * pixels[3 * i + c] + 0.5f * static_cast<float>(labels[i] % 5);
  }
  image.set(pixels);
  label.set(labels);
  if (program.has_input("rate")) program.input("rate").set(std::vector<float>{0.02f});
  if (program.has_input("counter")) program.input("counter").set(std::vector<int64_t>{7, step});
}

struct Training {
  std::vector<float> losses;
  std::map<std::string, std::vector<float>> parameters;
  std::vector<int64_t> confusion;
  int64_t recorded_launches = 0;
};

Training train(Device& device, int64_t steps, bool record = true) {
  const models::Model model = tiny_model();
  Parameters parameters(device);
  Program program(device, training_graph(model, device.target()), parameters, 3);
  program.record_runs(record);
  Training result;
  for (int64_t s = 0; s < steps; ++s) {
    set_batch(program, s);
    program.run();
    result.losses.push_back(program.output("loss").get<float>()[0]);
  }
  for (const Parameters::Entry& entry : parameters.entries()) result.parameters[entry.name] = entry.tensor.get<float>();
  result.confusion = program.output("confusion").get<int64_t>();
  result.recorded_launches = program.recorded_launches();
  return result;
}

/// Two batches an update; `sums` are the accumulated states before the first.
struct Accumulated {
  std::vector<float> losses;
  std::map<std::string, std::vector<float>> parameters, sums;
  int64_t recorded_launches = 0;
};

Accumulated train_accumulating(Device& device, int64_t updates, bool record = true) {
  const models::Model model = tiny_model();
  models::TrainingOptions options = training_options(model, device.target());
  options.accumulate = true;
  Parameters parameters(device);
  Program step(device, training_graph(model, options), parameters, 3);
  Program update(device, models::accumulated_update(step.graph(), options), parameters);
  step.record_runs(record);
  update.record_runs(record);
  Accumulated result;
  for (int64_t u = 0; u < updates; ++u) {
    for (int64_t part = 0; part < 2; ++part) {
      set_batch(step, 2 * u + part);
      step.run();
    }
    for (const Parameters::Entry& entry : parameters.entries()) {
      if (u == 0 && entry.name.rfind("accumulated.", 0) == 0) result.sums[entry.name] = entry.tensor.get<float>();
    }
    update.input("rate").set(std::vector<float>{0.02f});
    update.run();
    result.losses.push_back(update.output("loss").get<float>()[0]);
  }
  for (const Parameters::Entry& entry : parameters.entries()) result.parameters[entry.name] = entry.tensor.get<float>();
  result.recorded_launches = step.recorded_launches() + update.recorded_launches();
  return result;
}

double distance(const std::vector<float>& a, const std::vector<float>& b) {
  double difference = 0, size = 1e-30;
  for (size_t i = 0; i < a.size(); ++i) {
    difference += std::pow(static_cast<double>(a[i]) - b[i], 2);
    size += std::pow(static_cast<double>(b[i]), 2);
  }
  return std::sqrt(difference / size);
}

TEST_CASE("device training: three steps in float give the processor's losses and parameters") {
  const Training wanted = train(processor(), 3), found = train(gpu(), 3);
  for (size_t s = 0; s < wanted.losses.size(); ++s) {
    INFO("step " << s);
    CHECK(std::abs(found.losses[s] - wanted.losses[s]) < 1e-4 * wanted.losses[s]);
  }
  CHECK(found.parameters.size() == wanted.parameters.size());
  for (const auto& [name, values] : wanted.parameters) {
    INFO(name);
    CHECK(distance(found.parameters.at(name), values) < (name.rfind("momentum.", 0) == 0 ? 2e-2 : 1e-3));
  }
}

TEST_CASE("device training: accumulated gradients and their update are the processor's") {
  const Accumulated wanted = train_accumulating(processor(), 2), found = train_accumulating(gpu(), 2);
  for (size_t u = 0; u < wanted.losses.size(); ++u) {
    INFO("update " << u);
    CHECK(std::abs(found.losses[u] - wanted.losses[u]) < 1e-4 * wanted.losses[u]);
  }
  CHECK(found.sums.size() == wanted.sums.size());
  CHECK(wanted.sums.at("accumulated.loss.valid") == found.sums.at("accumulated.loss.valid"));
  for (const auto& [name, values] : wanted.sums) {
    INFO(name);
    CHECK(distance(found.sums.at(name), values) < 1e-3);
  }
  for (const auto& [name, values] : wanted.parameters) {
    INFO(name);
    if (name.rfind("accumulated.", 0) == 0) {  // cleared by the update
      CHECK(std::all_of(values.begin(), values.end(), [](float x) { return x == 0; }));
      CHECK(found.parameters.at(name) == values);
    } else {
      CHECK(distance(found.parameters.at(name), values) < 1e-3);
    }
  }
}

TEST_CASE("device training: recorded runs that accumulate give the bits of launched ones") {
  for (Precision precision : {Precision::fp32, Precision::bf16}) {
    INFO(name(precision));
    const Accumulated launched = train_accumulating(gpu(precision), 3, false),
                      recorded = train_accumulating(gpu(precision), 3);
    CHECK(launched.recorded_launches == 0);
    CHECK(recorded.recorded_launches > 50);
    CHECK(launched.losses == recorded.losses);
    CHECK(launched.sums == recorded.sums);
    CHECK(launched.parameters == recorded.parameters);
  }
}

TEST_CASE("device training: a recorded step gives the bits of a launched one") {
  for (Precision precision : {Precision::fp32, Precision::bf16}) {
    INFO(name(precision));
    const Training launched = train(gpu(precision), 4, false), recorded = train(gpu(precision), 4);
    CHECK(launched.recorded_launches == 0);
    CHECK(recorded.recorded_launches > 50);
    CHECK(launched.losses == recorded.losses);
    CHECK(launched.parameters == recorded.parameters);
    CHECK(launched.confusion == recorded.confusion);
  }
}

TEST_CASE("device training: what is in a recording is known node by node") {
  const models::Model model = tiny_model();
  Parameters parameters(gpu());
  Program program(gpu(), training_graph(model, gpu().target()), parameters, 3);
  for (int64_t s = 0; s < 2; ++s) {
    set_batch(program, s);
    program.run();
    if (s == 0) CHECK(program.recorded_nodes().empty());
  }
  int64_t launches = 0;
  double flops = 0;
  for (const RecordedNode& recorded : program.recorded_nodes()) {
    INFO(recorded.node.name);
    CHECK(recorded.launches >= 0);
    CHECK(recorded.bytes > 0);
    launches += recorded.launches;
    flops += recorded.flops;
  }
  CHECK(static_cast<int64_t>(program.recorded_nodes().size()) == program.launches());
  CHECK(launches == program.recorded_launches());
  CHECK(flops == program.flops());
}

#ifdef PSANET_CUDA_EMULATED
TEST_CASE("device training: what a library refuses to have recorded is launched, with the same bits") {
  const Training launched = train(gpu(), 4, false);
  cuda_emulator::refuse_recording(true);
  const Training refused = train(gpu(), 4);
  cuda_emulator::refuse_recording(false);
  CHECK(refused.recorded_launches == 0);
  CHECK(launched.losses == refused.losses);
  CHECK(launched.parameters == refused.parameters);
  const Training recorded = train(gpu(), 4);  // and the device can still record
  CHECK(recorded.recorded_launches > 50);
  CHECK(launched.parameters == recorded.parameters);
}
#endif

TEST_CASE("device training: the same run twice gives the same bits") {
  const Training once = train(gpu(Precision::bf16), 3), again = train(gpu(Precision::bf16), 3);
  CHECK(once.losses == again.losses);
  CHECK(once.parameters == again.parameters);
}

TEST_CASE("device training: steps with our own convolutions and products are those with the library's") {
  const auto train_with = [](Precision precision, int64_t steps, bool ours) {
    const OursOnly only(ours);
    return train(gpu(precision), steps);
  };
  const Training wanted = train_with(Precision::fp32, 2, false), found = train_with(Precision::fp32, 2, true);
  CHECK(found.parameters != wanted.parameters);  // in their last bits: it was not the library
  for (size_t s = 0; s < wanted.losses.size(); ++s) {
    INFO("step " << s);
    CHECK(std::abs(found.losses[s] - wanted.losses[s]) < 1e-4 * wanted.losses[s]);
  }
  for (const auto& [name, values] : wanted.parameters) {
    INFO(name);
    CHECK(distance(found.parameters.at(name), values) < (name.rfind("momentum.", 0) == 0 ? 2e-2 : 1e-3));
  }
  const Training narrow = train_with(Precision::bf16, 1, true);
  CHECK(std::abs(narrow.losses[0] - wanted.losses[0]) < 2e-2 * wanted.losses[0]);
}

TEST_CASE("device training: in bf16 the loss follows the loss in float") {
  const int64_t steps = gpu_is_emulated() ? 6 : 40;
  const Training wanted = train(gpu(), steps), found = train(gpu(Precision::bf16), steps);
  CHECK(wanted.losses.back() < 0.9f * wanted.losses.front());
  for (size_t s = 0; s < wanted.losses.size(); ++s) {
    INFO("step " << s << ": float " << wanted.losses[s] << ", bf16 " << found.losses[s]);
    CHECK(std::abs(found.losses[s] - wanted.losses[s]) < 0.06 * wanted.losses[0]);
  }
}

TEST_CASE("device training: the processor refuses bf16 in one line") {
  const models::Model model = tiny_model();
  Parameters parameters(processor());
  CHECK_THROWS_WITH(Program(processor(), training_graph(model, Precision::bf16), parameters), Catch::Contains("bf16"));
}

TEST_CASE("device training: every convolution weight has a copy that SGD writes and none is cast in a step") {
  const Graph graph = training_graph(tiny_model(), Precision::bf16);
  std::map<std::string, int> count;
  size_t copied = 0;
  for (const Node& node : graph.nodes()) {
    if (node.op()) ++count[node.op()->name()];
    if (const auto* sgd = node.as<layers::Sgd>()) copied = sgd->copied.size();
  }
  CHECK(count["split_weight"] == 1);  // of the head's convolution, whose weight then serves two
  CHECK(static_cast<int>(copied) == count["conv2d"] - 1);
  CHECK(count["cast"] == 1);  // the image
  CHECK(graph.sources(Source::Kind::derived).size() == copied);
}

TEST_CASE("device evaluation: probabilities are the processor's and bf16 comes near them") {
  const models::Model model = tiny_model();
  const Graph evaluation = model.build({layers::Mode::eval, kBatch});
  const auto probabilities = [&](Device& device) {
    Parameters parameters(device);
    Program program(device, models::prediction_graph(evaluation, device.target()), parameters, 3);
    Tensor image = program.input("image");
    image.set(noise(image.type().elements(), "image"));
    std::vector<float> first;
    for (int run = 0; run < 3; ++run) {  // launched, recorded, replayed
      program.run();
      const std::vector<float> now = program.output("probabilities").get<float>();
      if (first.empty()) first = now;
      CHECK(now == first);
    }
    return first;
  };
  const std::vector<float> wanted = probabilities(processor());
  CHECK(distance(probabilities(gpu()), wanted) < 1e-5);
  CHECK(distance(probabilities(gpu(Precision::bf16)), wanted) < 2e-2);
}

TEST_CASE("training: a step whose loss is not finite changes nothing on the CUDA backend") {
  Device& device = gpu();
  const models::Model model = tiny_model();
  Parameters parameters(device);
  Program program(device, training_graph(model, device.target()), parameters, 3);
  const auto state = [&] {
    std::vector<std::vector<float>> values;
    for (const auto& entry : parameters.entries()) values.push_back(entry.tensor.get<float>());
    return values;
  };
  const auto before = state();
  for (int64_t step = 0; step < 3; ++step) {  // the third is a recorded one
    set_batch(program, step);
    std::vector<float> pixels = program.input("image").get<float>();
    pixels[7] = std::numeric_limits<float>::quiet_NaN();
    program.input("image").set(pixels);
    program.run();
    CHECK_FALSE(std::isfinite(program.output("loss").get<float>()[0]));
  }
  CHECK(state() == before);
  set_batch(program, 3);
  program.run();
  CHECK(std::isfinite(program.output("loss").get<float>()[0]));
  CHECK(state() != before);
}

}  // namespace
}  // namespace psanet::tests
