// Parameters: initial values, file order, loading by name.
#include "engine/parameters.h"

#include <cmath>

#include "engine/error.h"
#include "layers/arithmetic.h"
#include "tests/support/catch.h"

namespace psanet::tests {
namespace {

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
  g.parameter("conv.bias", f32({2}), Initializer::constant(7));
  g.state("bn.running_mean", f32({2}), Initializer::constant(0));
  g.state("momentum.conv.bias", f32({2}), Initializer::constant(0));
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

TEST_CASE("parameters: initial values depend on seed and name alone") {
  Device device = Device::cpu(1);
  Parameters a(device), b(device), other_seed(device);
  const Graph g = small_graph();
  a.add(g, 1);
  b.add(g, 1);
  other_seed.add(g, 2);
  const auto weight = a.tensor("conv.weight").get<float>();
  CHECK(weight == b.tensor("conv.weight").get<float>());
  CHECK(weight != other_seed.tensor("conv.weight").get<float>());
  for (float w : weight) CHECK(std::abs(w) <= 0.5f);
  CHECK(a.tensor("conv.bias").get<float>() == std::vector<float>{7, 7});

  Graph alone;
  alone.parameter("conv.weight", f32({2, 1, 2, 3}), Initializer::uniform(0.5), FileLayout::conv_weight);
  Parameters c(device);
  c.add(alone, 1);
  CHECK(c.tensor("conv.weight").get<float>() == weight);
}

TEST_CASE("parameters: a normal initialiser has the deviation it is given") {
  Device device = Device::cpu(1);
  Graph g;
  g.parameter("w", f32({20000}), Initializer::normal(0.3));
  Parameters parameters(device);
  parameters.add(g, 5);
  double sum = 0, squares = 0;
  for (double v : parameters.tensor("w").get<float>()) {
    sum += v;
    squares += v * v;
  }
  CHECK(std::abs(sum / 20000) < 0.01);
  CHECK(std::sqrt(squares / 20000) == Approx(0.3).epsilon(0.02));
}

TEST_CASE("parameters: adding a graph again keeps the values") {
  Device device = Device::cpu(1);
  Parameters parameters(device);
  parameters.add(small_graph(), 1);
  Tensor(parameters.tensor("conv.bias")).set(std::vector<float>{1, 2});
  parameters.add(small_graph(), 9);
  CHECK(parameters.entries().size() == 4);
  CHECK(parameters.tensor("conv.bias").get<float>() == std::vector<float>{1, 2});
  CHECK(parameters.contains("conv.bias"));
  CHECK_FALSE(parameters.contains("conv"));
  CHECK_THROWS_AS(parameters.tensor("conv"), std::logic_error);
}

TEST_CASE("parameters: files have convolution weights as O,I,kh,kw, we have O,kh,kw,I") {
  Device device = Device::cpu(1);
  Parameters parameters(device);
  parameters.add(small_graph(), 1);
  const auto report = load_weights(parameters, small_file(""), "a.safetensors", true);
  CHECK(report.loaded.size() == 3);
  CHECK(parameters.tensor("conv.weight").get<float>() == kOurWeight);
  for (const Parameters::Entry& entry : parameters.entries()) {
    if (entry.name != "conv.weight") continue;
    const FileTensor back = parameters.to_file(entry);
    CHECK(back.shape == std::vector<int64_t>{2, 3, 1, 2});
    CHECK(back.values<float>() == kFileWeight);
  }
}

TEST_CASE("parameters: the prefix of official checkpoints is ignored") {
  Device device = Device::cpu(1);
  Parameters parameters(device);
  parameters.add(small_graph(), 1);
  load_weights(parameters, small_file("module."), "a.safetensors", true);
  CHECK(parameters.tensor("bn.running_mean").get<float>() == std::vector<float>{3, 4});
}

TEST_CASE("parameters: a strict load names what is missing and what is left over, a loose one reports it") {
  Device device = Device::cpu(1);
  Parameters parameters(device);
  parameters.add(small_graph(), 1);
  Safetensors file = small_file("");
  file.tensors.erase("conv.bias");
  file.tensors["fc.weight"] = floats({1}, {0});
  const LoadReport report = load_weights(parameters, file, "a.safetensors", false);
  CHECK(report.missing == std::vector<std::string>{"conv.bias"});
  CHECK(report.unused == std::vector<std::string>{"fc.weight"});
  CHECK(report.loaded == std::vector<std::string>{"conv.weight", "bn.running_mean"});
  CHECK(error_of([&] { load_weights(parameters, file, "a.safetensors", true); }) ==
        "a.safetensors: does not fit the model: 1 (conv.bias) tensors of the model are missing in it, 1 (fc.weight) of "
        "it are not in the model");
  for (int i = 0; i < 9; ++i) file.tensors["more" + std::to_string(i)] = floats({1}, {0});
  CHECK(error_of([&] {
          load_weights(parameters, file, "a.safetensors", true);
        }).find("10 (fc.weight, more0, more1, more2, ...)") != std::string::npos);
}

TEST_CASE("parameters: a tensor of another shape is refused by file, name and both shapes") {
  Device device = Device::cpu(1);
  Parameters parameters(device);
  parameters.add(small_graph(), 1);
  Safetensors file = small_file("module.");
  file.tensors["module.conv.weight"] = floats({3, 2, 1, 2}, kFileWeight);
  CHECK(error_of([&] { load_weights(parameters, file, "a.safetensors", false); }) ==
        "a.safetensors: tensor \"conv.weight\" has shape [3,2,1,2], the model wants [2,3,1,2]");
}

TEST_CASE("parameters: momentum in a file is loaded, its absence is no fault") {
  Device device = Device::cpu(1);
  Parameters parameters(device);
  parameters.add(small_graph(), 1);
  Safetensors file = small_file("");
  file.tensors["momentum.conv.bias"] = floats({2}, {8, 9});
  CHECK(load_weights(parameters, file, "a.safetensors", true).loaded.size() == 4);
  CHECK(parameters.tensor("momentum.conv.bias").get<float>() == std::vector<float>{8, 9});
}

}  // namespace
}  // namespace psanet::tests
