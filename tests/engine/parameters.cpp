// Parameters: what is kept between runs, under which keys, from which initial values.
#include "engine/parameters.h"

#include <cmath>
#include <utility>

#include "engine/error.h"
#include "layers/arithmetic.h"
#include "tests/support/catch.h"

namespace psanet::tests {
namespace {

/// A weight [2,1,2,3] (O,kh,kw,I), a bias, a running mean and a momentum.
Graph small_graph() {
  Graph g;
  g.parameter("conv.weight", f32({2, 1, 2, 3}), Initializer::uniform(0.5), FileLayout::conv_weight);
  const Value bias = g.parameter("conv.bias", f32({2}), Initializer::constant(7));
  g.statistic("bn.running_mean", "bn", f32({2}), Initializer::constant(0));
  g.kept_for(Source::Kind::momentum, bias);
  return g;
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

TEST_CASE("parameters: weights and statistics share one set of names and momentum has names of its own") {
  Device device = Device::cpu(1);
  Graph g = small_graph();
  g.parameter("momentum.conv.bias", f32({3}), Initializer::constant(5));
  Parameters parameters(device);
  parameters.add(g, 1);
  CHECK(parameters.tensor("momentum.conv.bias").get<float>() == std::vector<float>{5, 5, 5});
  CHECK(parameters.tensor({Source::Kind::momentum, "conv.bias"}).get<float>() == std::vector<float>{0, 0});
  CHECK_THROWS_AS(g.statistic("conv.bias", "conv", f32({2}), Initializer::constant(0)), ConfigError);
}

TEST_CASE("parameters: the version grows with every way to change a value") {
  Device device = Device::cpu(1);
  Parameters parameters(device);
  uint64_t version = parameters.version();
  const auto grew = [&] { return std::exchange(version, parameters.version()) < version; };
  parameters.add(small_graph(), 1);
  CHECK(grew());
  parameters.add(small_graph(), 1);
  CHECK_FALSE(grew());
  parameters.tensor("conv.bias").get<float>();
  CHECK_FALSE(grew());
  Tensor bias = parameters.tensor("conv.bias");
  bias.set(std::vector<float>{1, 2});
  CHECK(grew());
  bias.zero();
  CHECK(grew());
  static_cast<float*>(bias.writable())[0] = 3;
  CHECK(grew());
  const std::vector<float> two = {1, 2};
  parameters.from_file(parameters.entry({Source::Kind::parameter, "conv.bias"}),
                       FileTensor::of({2}, std::span<const float>(two)), "file");
  CHECK(grew());
  parameters.updated();
  CHECK(grew());
}

}  // namespace
}  // namespace psanet::tests
