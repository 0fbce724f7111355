// Numbers worked out by hand: they need neither the reference loops nor the golden files.
#include <cmath>

#include "engine/program.h"
#include "layers/cross_entropy.h"
#include "layers/pool.h"
#include "layers/psa.h"
#include "layers/resize.h"
#include "layers/sgd.h"
#include "tests/support/catch.h"
#include "tests/support/graph_run.h"

namespace psanet::tests {
namespace {

/// The first output of an op on these inputs.
std::vector<double> result(Op op, const HostTensors& inputs) {
  Subject s;
  Values in;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const std::string name = "in" + std::to_string(i);
    in.push_back(s.graph.input(name, inputs[i].type));
    s.inputs.emplace_back(name, inputs[i]);
  }
  s.graph.output("out", s.graph.add("op", std::move(op), in));
  s.outputs = {"out"};
  Device device = Device::cpu(2);
  return run(device, s).values[0].values;
}

HostTensor image(int64_t h, int64_t w, int64_t c, std::vector<double> values) {
  return {f32({1, h, w, c}), std::move(values)};
}

layers::Psa attention(layers::PsaMode mode, int64_t mask_w) {
  layers::Psa psa;
  psa.mode = mode;
  psa.mask_h = 1;
  psa.mask_w = mask_w;
  psa.softmax = false;
  return psa;
}

TEST_CASE("by hand: collect reads the target's scores, distribute those of each source") {
  // A row of three positions; entry k of a position's map belongs to the position k - 2 columns to its right.
  const HostTensor value = image(1, 3, 1, {1, 10, 100});
  const HostTensor scores = image(1, 3, 5,
                                  {0, 0, 1, 2, 3,    // the first: of itself 1, of the second 2, of the third 3
                                   0, 4, 5, 6, 0,    // the second: of the first 4, of itself 5, of the third 6
                                   7, 8, 9, 0, 0});  // the third: 7, 8, 9
  CHECK(result(attention(layers::PsaMode::collect, 5), {value, scores}) ==
        std::vector<double>{1 + 20 + 300, 4 + 50 + 600, 7 + 80 + 900});
  CHECK(result(attention(layers::PsaMode::distribute, 5), {value, scores}) ==
        std::vector<double>{1 + 40 + 700, 2 + 50 + 800, 3 + 60 + 900});
}

TEST_CASE("by hand: outside a mask the score is zero, and zeros take part in the softmax") {
  const HostTensor value = image(1, 3, 1, {1, 10, 100});
  const HostTensor scores = image(1, 3, 1, {std::log(2.0), std::log(3.0), 0});
  layers::Psa psa = attention(layers::PsaMode::collect, 1);  // each position scores only itself
  CHECK(result(psa, {value, scores})[1] == Approx(10 * std::log(3.0)));
  psa.softmax = true;
  const std::vector<double> out = result(psa, {value, scores});
  CHECK(out[0] == Approx((2 * 1 + 10 + 100) / 4.0));
  CHECK(out[1] == Approx((1 + 3 * 10 + 100) / 5.0));
  CHECK(out[2] == Approx((1 + 10 + 100) / 3.0));
  psa.scale = 0.5;
  CHECK(result(psa, {value, scores})[2] == Approx((1 + 10 + 100) / 6.0));
}

TEST_CASE("by hand: corners stay with align_corners, half-pixel centres move them") {
  const HostTensor x = image(1, 2, 1, {0, 6});
  CHECK(result(layers::Resize{1, 4, true}, {x}) == std::vector<double>{0, 2, 4, 6});
  CHECK(result(layers::Resize{1, 4, false}, {x}) == std::vector<double>{0, 1.5, 4.5, 6});
}

TEST_CASE("by hand: padding is never the largest") {
  const HostTensor x = image(2, 2, 1, {-4, -3, -2, -5});
  CHECK(result(layers::MaxPool{}, {x}) == std::vector<double>{-2});
}

TEST_CASE("by hand: the cross entropy of equal scores is the logarithm of their number, without ignored pixels") {
  const HostTensor x = image(1, 2, 4, {0, 0, 0, 0, 7, 7, 7, 7});
  const HostTensor label(Type{DType::u8, {1, 1, 2}}, {2, 255});
  CHECK(result(layers::ResizeCrossEntropy{}, {x, label})[0] == Approx(std::log(4.0)));
}

TEST_CASE("by hand: two steps of SGD in PyTorch's form") {
  layers::Sgd sgd;
  sgd.momentum = 0.5;
  sgd.rate_factor = {10};
  sgd.weight_decay = {0.1};
  Graph graph;
  const Type one = f32({1});
  const Value w = graph.parameter("w", one, Initializer::constant(1)), v = graph.kept_for(Source::Kind::momentum, w);
  graph.apply("sgd", sgd, {graph.input("rate", one), w, v, graph.input("g", one)});
  Device device = Device::cpu(1);
  Parameters parameters(device);
  Program program(device, graph, parameters);
  program.input("rate").set(std::vector<float>{0.01f});
  program.input("g").set(std::vector<float>{2});
  program.run();
  CHECK(parameters.tensor({Source::Kind::momentum, "w"}).get<float>()[0] == Approx(2.1));  // 0.5 * 0 + 2 + 0.1 * 1
  CHECK(parameters.tensor("w").get<float>()[0] == Approx(1 - 0.21));                       // 1 - 0.01 * 10 * 2.1
  program.run();
  CHECK(parameters.tensor({Source::Kind::momentum, "w"}).get<float>()[0] ==
        Approx(3.129));  // 0.5 * 2.1 + 2 + 0.1 * 0.79
  CHECK(parameters.tensor("w").get<float>()[0] == Approx(0.79 - 0.3129));
}

}  // namespace
}  // namespace psanet::tests
