// Gradients of several batches before one update: the same as one large batch, to rounding.
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "engine/program.h"
#include "engine/random.h"
#include "models/parameter_groups.h"
#include "models/training_step.h"
#include "tests/support/allocation_count.h"
#include "tests/support/build.h"
#include "tests/support/catch.h"

namespace psanet::tests {
namespace {

constexpr int64_t kSide = 9, kMap = 5, kClasses = 4;

/// Convolutions and ReLUs, with an auxiliary head, without batch norm.
Graph plain_network(int64_t batch) {
  Graph g;
  const auto add = [&](const std::string& path, const std::string& word, const nlohmann::json& attributes, Value in) {
    return add_word(layers::Building{g, layers::Mode::train, path}, word, attributes, {in});
  };
  Value v = g.input("image", f32({batch, kSide, kSide, 3}));
  v = add("layer0.0", "conv2d", {{"out_channels", 6}, {"kernel", 3}, {"padding", 1}, {"stride", 2}}, v);
  v = add("layer0.1", "relu", nlohmann::json::object(), v);
  const nlohmann::json head = {{"out_channels", kClasses}, {"bias", true}},
                       full = {{"height", kSide}, {"width", kSide}};
  g.output("logits", add("logits", "resize", full, add("cls", "conv2d", head, v)));
  g.output("aux", add("aux_logits", "resize", full, add("aux", "conv2d", head, v)));
  return g;
}

models::TrainingOptions options_of(bool accumulate) {
  models::TrainingOptions options;
  options.accumulate = accumulate;
  options.weight_decay = 0.01;
  options.rate_factor = [](const std::string& name) { return name[0] == 'l' ? 1.0 : 10.0; };
  return options;
}

/// Image `number` of the set, whose labels count in number % 3 + 1 of 10 pixels.
void set_image(Program& program, int64_t place, int64_t number) {
  Tensor image = program.input("image"), label = program.input("label");
  std::vector<float> pixels = image.get<float>();
  std::vector<uint8_t> labels = label.get<uint8_t>();
  const auto size = static_cast<size_t>(kSide * kSide), at = static_cast<size_t>(place) * size;
  for (size_t i = 0; i < 3 * size; ++i) {
    pixels[3 * at + i] = static_cast<float>(random_unit(static_cast<uint64_t>(number), i));
  }
  for (size_t i = 0; i < size; ++i) {
    labels[at + i] = static_cast<int64_t>(i) % 10 <= 4 * (number % 3) ? static_cast<uint8_t>(i / 7 % kClasses) : 255;
  }
  image.set(pixels);
  label.set(labels);
}

/// A step for `batch` images and its update.
struct Accumulating {
  Parameters parameters;
  Program step, update;
  Accumulating(Device& device, int64_t batch)
      : parameters(device),
        step(device, models::training_step(plain_network(batch), options_of(true)), parameters, 1),
        update(device, models::accumulated_update(step.graph(), options_of(true)), parameters, 1) {}
  void run_update(float rate) {
    update.input("rate").set(std::vector<float>{rate});
    update.run();
  }
};

std::vector<float> values(const Parameters& parameters, const SourceKey& key) {
  return parameters.tensor(key).get<float>();
}

TEST_CASE("accumulation: three batches of two are one batch of six") {
  Device device = Device::cpu(1);
  Parameters whole(device);
  Program step(device, models::training_step(plain_network(6), options_of(false)), whole, 1);
  Accumulating parts(device, 2);
  const char* const names[] = {"layer0.0.weight", "cls.weight", "cls.bias", "aux.weight"};
  const SourceKey first{Source::Kind::parameter, "layer0.0.weight"};
  const std::vector<float> start = values(whole, first);
  for (int64_t update = 0; update < 4; ++update) {
    for (int64_t i = 0; i < 6; ++i) set_image(step, i, 6 * update + i);
    step.input("rate").set(std::vector<float>{0.05f});
    step.run();
    for (int64_t part = 0; part < 3; ++part) {
      for (int64_t i = 0; i < 2; ++i) set_image(parts.step, i, 6 * update + 2 * part + i);
      parts.step.run();
    }
    parts.run_update(0.05f);
    for (const char* loss : {"loss", "loss.main", "loss.aux"}) {
      INFO(loss);
      CHECK(parts.update.output(loss).get<float>()[0] == Approx(step.output(loss).get<float>()[0]).epsilon(2e-6));
    }
    for (const std::string name : names) {
      for (const Source::Kind kind : {Source::Kind::parameter, Source::Kind::momentum}) {
        INFO(name << ", kind " << static_cast<int>(kind));
        const std::vector<float> wanted = values(whole, {kind, name}), found = values(parts.parameters, {kind, name});
        REQUIRE(found.size() == wanted.size());
        for (size_t i = 0; i < wanted.size(); ++i) CHECK(found[i] == Approx(wanted[i]).margin(3e-6));
      }
    }
  }
  CHECK(values(whole, first) != start);
}

TEST_CASE("accumulation: the update starts the sums anew and neither program allocates") {
  Device device = Device::cpu(1);
  Accumulating parts(device, 2);
  for (int64_t i = 0; i < 2; ++i) set_image(parts.step, i, i);
  for (int round = 0; round < 2; ++round) {
    parts.step.run();
    CHECK(values(parts.parameters, {Source::Kind::loss_sum, "loss.valid"})[0] > 0);
    parts.run_update(0.01f);
    for (const Parameters::Entry& entry : parts.parameters.entries()) {
      if (entry.source.in_files()) continue;
      INFO(entry.name);
      for (float value : entry.tensor.get<float>()) REQUIRE(value == 0);
    }
  }
  parts.step.run();
  const bool counted = allocations_are_counted();
  const int64_t before = counted ? allocations() : 0;
  parts.update.run();
  if (counted) CHECK(allocations() - before == 0);
}

TEST_CASE("accumulation: one batch whose loss is not finite and the whole update changes nothing") {
  Device device = Device::cpu(1);
  Accumulating parts(device, 1);
  const std::vector<float> before = values(parts.parameters, {Source::Kind::parameter, "cls.weight"});
  set_image(parts.step, 0, 1);
  parts.step.run();
  std::vector<float> pixels = parts.step.input("image").get<float>();
  pixels[5] = std::numeric_limits<float>::quiet_NaN();
  parts.step.input("image").set(pixels);
  parts.step.run();
  parts.run_update(0.1f);
  CHECK_FALSE(std::isfinite(parts.update.output("loss").get<float>()[0]));
  CHECK(values(parts.parameters, {Source::Kind::parameter, "cls.weight"}) == before);
  set_image(parts.step, 0, 1);
  parts.step.run();
  parts.run_update(0.1f);
  CHECK(std::isfinite(parts.update.output("loss").get<float>()[0]));
  CHECK(values(parts.parameters, {Source::Kind::parameter, "cls.weight"}) != before);
}

TEST_CASE("the loss at the scores takes labels of the map's size and is the plain cross entropy there") {
  Device device = Device::cpu(1);
  models::TrainingOptions options = options_of(false);
  options.loss_at_scores = true;
  options.update = false;
  const Graph graph = models::training_step(plain_network(1), options);
  CHECK(graph.type(graph.find_input("label")) == Type{DType::u8, {1, kMap, kMap}});
  Graph scores = plain_network(1);
  int id = 0;
  for (const Node& node : scores.nodes()) {
    if (node.name == "cls") scores.output("scores", {id, 0});
    ++id;
  }
  Parameters parameters(device);
  Program step(device, graph, parameters, 1), forward(device, scores, parameters, 1);
  std::vector<float> pixels(kSide * kSide * 3);
  for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<float>(random_unit(9, i));
  std::vector<uint8_t> labels(kMap * kMap);
  for (size_t i = 0; i < labels.size(); ++i) labels[i] = i % 6 == 0 ? 255 : static_cast<uint8_t>(i % kClasses);
  for (Program* program : {&step, &forward}) program->input("image").set(pixels);
  step.input("label").set(labels);
  step.run();
  forward.run();
  const std::vector<float> s = forward.output("scores").get<float>();
  double loss = 0, valid = 0;
  for (size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] == 255) continue;
    double total = 0;
    for (size_t c = 0; c < kClasses; ++c) total += std::exp(static_cast<double>(s[i * kClasses + c]));
    loss += std::log(total) - static_cast<double>(s[i * kClasses + labels[i]]);
    valid += 1;
  }
  CHECK(step.output("loss.main").get<float>()[0] == Approx(loss / valid).epsilon(1e-5));
}

TEST_CASE("parameter groups: batch norms by their statistics and classifiers by what scores come out of") {
  const Graph plain = plain_network(1);
  const models::ParameterGroups groups = models::parameter_groups(plain);
  CHECK(groups.batch_norm.empty());
  CHECK(groups.classifier == std::set<std::string>{"aux.bias", "aux.weight", "cls.bias", "cls.weight"});
}

}  // namespace
}  // namespace psanet::tests
