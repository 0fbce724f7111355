// Parameters as files: official names and layouts, and what is what where names do not tell.
#include "models/weights_file.h"

#include <nlohmann/json.hpp>

#include "engine/error.h"
#include "models/checkpoint_fit.h"
#include "tests/support/catch.h"

namespace psanet::tests {
namespace {

using Kind = Source::Kind;

FileTensor floats(std::vector<int64_t> shape, const std::vector<float>& values) {
  return FileTensor::of(std::move(shape), std::span<const float>(values));
}

template <class F>
std::string error_of(F f) {
  try {
    f();
  } catch (const WeightsError& e) {
    return e.what();
  }
  return "nothing was thrown";
}

/// A weight [2,1,2,3] (O,kh,kw,I), a bias, a running mean and a momentum.
Graph small_graph() {
  Graph g;
  g.parameter("conv.weight", f32({2, 1, 2, 3}), Initializer::uniform(0.5), FileLayout::conv_weight);
  const Value bias = g.parameter("conv.bias", f32({2}), Initializer::constant(7));
  g.statistic("bn.running_mean", "bn", f32({2}), Initializer::constant(0));
  g.kept_for(Source::Kind::momentum, bias);
  return g;
}

const std::vector<float> kFileWeight = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};  // [2,3,1,2]: O,I,kh,kw
const std::vector<float> kOurWeight = {0, 2, 4, 1, 3, 5, 6, 8, 10, 7, 9, 11};   // [2,1,2,3]: O,kh,kw,I

Safetensors small_file(const std::string& prefix) {
  Safetensors file;
  file.tensors[prefix + "conv.weight"] = floats({2, 3, 1, 2}, kFileWeight);
  file.tensors[prefix + "conv.bias"] = floats({2}, {1, 2});
  file.tensors[prefix + "bn.running_mean"] = floats({2}, {3, 4});
  const std::vector<int64_t> count = {5};
  file.tensors[prefix + "bn.num_batches_tracked"] = FileTensor::of({}, std::span<const int64_t>(count));
  return file;
}

TEST_CASE("weights file: files have convolution weights as O,I,kh,kw, we have O,kh,kw,I") {
  Device device = Device::cpu(1);
  Parameters parameters(device);
  parameters.add(small_graph(), 1);
  const auto report = models::load_weights(parameters, small_file(""), "a.safetensors", true);
  CHECK(report.loaded.size() == 3);
  CHECK(parameters.tensor("conv.weight").get<float>() == kOurWeight);
  for (const Parameters::Entry& entry : parameters.entries()) {
    if (entry.name != "conv.weight") continue;
    const FileTensor back = parameters.to_file(entry);
    CHECK(back.shape == std::vector<int64_t>{2, 3, 1, 2});
    CHECK(back.values<float>() == kFileWeight);
  }
}

TEST_CASE("weights file: the prefix of official checkpoints is ignored") {
  Device device = Device::cpu(1);
  Parameters parameters(device);
  parameters.add(small_graph(), 1);
  models::load_weights(parameters, small_file("module."), "a.safetensors", true);
  CHECK(parameters.tensor("bn.running_mean").get<float>() == std::vector<float>{3, 4});
}

TEST_CASE("weights file: a strict load names what is missing and what is left over, a loose one reports it") {
  Device device = Device::cpu(1);
  Parameters parameters(device);
  parameters.add(small_graph(), 1);
  Safetensors file = small_file("");
  file.tensors.erase("conv.bias");
  file.tensors["fc.weight"] = floats({1}, {0});
  const models::LoadReport report = models::load_weights(parameters, file, "a.safetensors", false);
  CHECK(report.missing == std::vector<std::string>{"conv.bias"});
  CHECK(report.unused == std::vector<std::string>{"fc.weight"});
  CHECK(report.loaded == std::vector<std::string>{"conv.weight", "bn.running_mean"});
  CHECK(error_of([&] { models::load_weights(parameters, file, "a.safetensors", true); }) ==
        "a.safetensors: does not fit the model: 1 (conv.bias) tensors of the model are missing in it, 1 (fc.weight) of "
        "it are not in the model");
  for (int i = 0; i < 9; ++i) file.tensors["more" + std::to_string(i)] = floats({1}, {0});
  CHECK(error_of([&] {
          models::load_weights(parameters, file, "a.safetensors", true);
        }).find("10 (fc.weight, more0, more1, more2, ...)") != std::string::npos);
}

TEST_CASE("weights file: a tensor of another shape is refused by file, name and both shapes") {
  Device device = Device::cpu(1);
  Parameters parameters(device);
  parameters.add(small_graph(), 1);
  Safetensors file = small_file("module.");
  file.tensors["module.conv.weight"] = floats({3, 2, 1, 2}, kFileWeight);
  CHECK(error_of([&] { models::load_weights(parameters, file, "a.safetensors", false); }) ==
        "a.safetensors: tensor \"conv.weight\" has shape [3,2,1,2], the model wants [2,3,1,2]");
}

TEST_CASE("weights file: momentum in a file is loaded, its absence is no fault") {
  Device device = Device::cpu(1);
  Parameters parameters(device);
  parameters.add(small_graph(), 1);
  Safetensors file = small_file("");
  file.tensors["momentum.conv.bias"] = floats({2}, {8, 9});
  CHECK(models::load_weights(parameters, file, "a.safetensors", true).loaded.size() == 4);
  CHECK(parameters.tensor({Source::Kind::momentum, "conv.bias"}).get<float>() == std::vector<float>{8, 9});
}

/// A network whose layers have the names that files and other programs give a meaning: each a convolution, and a batch
/// norm inside a block of that name.
Graph named_graph(const std::string& name) {
  Graph g;
  const Value x = g.parameter(name + ".weight", f32({2, 1, 1, 3}), Initializer::uniform(1), FileLayout::conv_weight);
  const Value y = g.parameter(name + ".x.weight", f32({2}), Initializer::uniform(1));
  const Value z = g.parameter("x.weight", f32({2}), Initializer::uniform(1));
  g.statistic(name + ".running_mean", name, f32({2}), Initializer::constant(0));
  g.statistic(name + ".x.running_var", name + ".x", f32({2}), Initializer::constant(1));
  for (const Value v : {x, y, z}) {
    g.kept_for(Kind::momentum, v);
    g.kept_for(Kind::gradient_sum, v);
  }
  g.loss_sum("loss", f32({1}));
  return g;
}

const char* const kNames[] = {"accumulated", "momentum", "conv1",       "bn1",          "fc",     "stem",
                              "backbone",    "module",   "grad",        "running_mean", "weight", "num_batches_tracked",
                              "loss",        "image",    "running_var", "layer0",       "d_loss", "gradients"};

TEST_CASE("weights file: whatever layers are called everything is written and comes back") {
  Device device = Device::cpu(1);
  for (const std::string name : kNames) {
    INFO(name);
    Parameters from(device), to(device);
    from.add(named_graph(name), 1);
    to.add(named_graph(name), 2);
    float next = 1;
    for (const Parameters::Entry& entry : from.entries()) {
      std::vector<float> values(static_cast<size_t>(entry.tensor.type().elements()));
      for (float& v : values) v = next++;
      Tensor(entry.tensor).set(values);
    }
    const Safetensors checkpoint = models::to_file(from, 7, true), weights = models::to_file(from, 7, false);
    CHECK(checkpoint.tensors.size() == 5 + 3 + 2);  // parameters and statistics, momentum, counters
    CHECK(weights.tensors.size() == 5 + 2);
    CHECK(models::tensor_differences(checkpoint, to, "c").empty());
    const models::LoadReport report = models::load_weights(to, checkpoint, "c", true);
    CHECK(report.loaded.size() == 8);
    for (const Parameters::Entry& entry : from.entries()) {
      if (!entry.source.in_files()) continue;
      INFO(entry.name);
      CHECK(to.tensor(entry.key).get<float>() == entry.tensor.get<float>());
    }
    Parameters evaluated(device);
    evaluated.add(named_graph(name), 3);
    CHECK(models::load_weights(evaluated, weights, "w", true).loaded.size() == 5);
  }
}

TEST_CASE("weights file: names that are our own give way to the model's") {
  Device device = Device::cpu(1);
  Parameters parameters(device);
  parameters.add(named_graph("momentum"), 1);
  const Safetensors file = models::to_file(parameters, 7, true);
  const auto roles = nlohmann::json::parse(file.metadata.at("roles"));
  CHECK_FALSE(roles.contains("momentum.x.weight"));
  CHECK(roles.at("momentum.x.weight'") == "momentum x.weight");
  CHECK(roles.at("momentum.momentum.x.weight") == "momentum momentum.x.weight");
  CHECK(roles.at("momentum.running_mean") == "statistic momentum");
  CHECK(roles.at("momentum.num_batches_tracked") == "counter momentum");
}

TEST_CASE("weights file: a file without roles is read by its names") {
  Device device = Device::cpu(1);
  Parameters parameters(device);
  parameters.add(small_graph(), 1);
  Safetensors old = models::to_file(parameters, 7, true);
  old.metadata.erase("roles");
  CHECK(models::load_weights(parameters, old, "old", true).loaded.size() == 4);
  // "module." goes only where the model has no such name, and what has none in front comes first.
  Safetensors both = small_file("");
  both.tensors["module.conv.bias"] = floats({2}, {8, 8});
  models::load_weights(parameters, both, "both", true);
  CHECK(parameters.tensor("conv.bias").get<float>() == std::vector<float>{1, 2});
  // Only a counter is a counter.
  both.tensors["other.num_batches_tracked"] = floats({2}, {1, 2});
  CHECK(models::load_weights(parameters, both, "both", false).unused ==
        std::vector<std::string>{"other.num_batches_tracked"});
}

TEST_CASE("weights file: roles that make no sense are errors of one line") {
  Device device = Device::cpu(1);
  Parameters parameters(device);
  parameters.add(small_graph(), 1);
  Safetensors file = small_file("");
  const auto message = [&](const std::string& roles) {
    file.metadata["roles"] = roles;
    return error_of([&] { models::load_weights(parameters, file, "f", false); });
  };
  CHECK(message("[") == "f: metadata \"roles\": is no JSON object");
  CHECK(message("[1]") == "f: metadata \"roles\": is no JSON object");
  const std::string want = "want \"statistic\", \"momentum\" or \"counter\" and what it is of";
  for (const char* role : {"7", "\"\"", "\"momentum\"", "\"gradient conv.bias\""}) {
    CHECK(message(std::string("{\"conv.bias\":") + role + "}") == "f: metadata \"roles\": \"conv.bias\": " + want);
  }
  CHECK(message(R"({"conv": "momentum conv.bias"})") == "f: metadata \"roles\": \"conv\": there is no such tensor");
  CHECK(message(R"({"conv.bias": "momentum a", "bn.running_mean": "momentum a"})") ==
        "f: two tensors are the momentum of \"a\"");
}

}  // namespace
}  // namespace psanet::tests
