// The test protocol (SPEC 6) against the official script's numbers.
#include <cmath>
#include <nlohmann/json.hpp>

#include "engine/safetensors.h"
#include "layers/conv2d.h"
#include "layers/relu.h"
#include "models/pixel_resize.h"
#include "models/prediction.h"
#include "tests/support/catch.h"
#include "tests/support/golden.h"
#include "tests/support/test_device.h"

namespace psanet::models {
namespace {

/// conv1 3x3 (stride 1 or 8), ReLU, conv2 1x1: the "network" of the golden file.
Graph two_convolutions(int64_t batch, int64_t crop_h, int64_t crop_w, int64_t classes, int64_t stride) {
  Graph graph;
  const Value image = graph.input("image", f32({batch, crop_h, crop_w, 3}));
  const auto convolution = [&](const char* name, Value x, int64_t out, int64_t kernel, int64_t step) {
    const std::string path(name);
    const Value weight = graph.parameter(path + ".weight", f32({out, kernel, kernel, graph.type(x)[3]}),
                                         Initializer::uniform(0.3), FileLayout::conv_weight);
    const Value bias = graph.parameter(path + ".bias", f32({out}), Initializer::uniform(0.1));
    layers::Conv2d op;
    op.stride = {step, step};
    op.padding = {kernel / 2, kernel / 2};
    op.bias = true;
    return graph.add(path, op, {x, weight, bias});
  };
  const Value hidden = graph.add("relu", layers::Relu{}, {convolution("conv1", image, 8, 3, stride)});
  graph.output("logits", convolution("conv2", hidden, classes, 1, 1));
  return graph;
}

std::vector<float> as_floats(const FileTensor& tensor) {
  return tensor.values<float>();
}

double largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  REQUIRE(a.size() == b.size());
  double largest = 0;
  for (size_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::abs(static_cast<double>(a[i]) - b[i]));
  return largest;
}

TEST_CASE("golden: sliding windows, scales and mirror images as the official test script") {
  const auto dir = tests::golden_dir();
  if (!dir) return;
  const Safetensors file = read_safetensors(*dir / "protocol.safetensors");
  Device device = psanet::tests::test_device(0);
  for (const std::string& name : nlohmann::json::parse(file.metadata.at("cases")).get<std::vector<std::string>>()) {
    CAPTURE(name);
    const auto meta = nlohmann::json::parse(file.metadata.at(name));
    const auto tensor = [&](const std::string& what) { return file.at(name + "." + what); };
    const int64_t h = meta["h"], w = meta["w"], classes = meta["classes"];
    ProtocolOptions options;
    options.base_size = meta["base_size"];
    options.scales = meta["scales"].get<std::vector<double>>();
    options.mirror = meta["flip"];
    for (size_t c = 0; c < 3; ++c) {
      options.input.mean[c] = meta["mean"][c];
      options.input.std[c] = meta["std"][c];
    }

    Parameters parameters(device);
    const Graph graph = two_convolutions(3, meta["crop_h"], meta["crop_w"], classes, meta["net"] == "full" ? 1 : 8);
    parameters.add(graph, 0);
    for (const Parameters::Entry& entry : parameters.entries())
      parameters.from_file(entry, tensor(entry.name), "golden");
    Predictor predictor(device, graph, parameters, options);
    REQUIRE(predictor.classes() == classes);

    const std::vector<float> pixels = as_floats(tensor("image"));
    const FloatImageView image{h, w, pixels.data()};
    for (size_t s = 0; s < options.scales.size(); ++s) {
      const auto& expected = meta["per_scale"][s];
      const ScaledSize size = scaled_size(h, w, options.scales[s], options.base_size);
      CHECK(size.height == expected["new_h"].get<int64_t>());
      CHECK(size.width == expected["new_w"].get<int64_t>());
      std::vector<float> scaled(static_cast<size_t>(size.height * size.width * 3));
      resize_half_pixel({h, w, size.height, size.width, 3}, pixels.data(), scaled.data());
      CHECK(largest_difference(scaled, as_floats(tensor("scaled" + std::to_string(s)))) <= 2e-3);
      std::vector<float> probabilities(static_cast<size_t>(h * w * classes), 0.0f);
      predictor.add_scale(image, options.scales[s], probabilities);
      CHECK(largest_difference(probabilities, as_floats(tensor("pred" + std::to_string(s)))) <= 2e-5);
    }
    CHECK(largest_difference(predictor.probabilities(image), as_floats(tensor("prob"))) <= 2e-5);
    const std::vector<uint8_t> labels = predictor.labels(image), truth = tensor("argmax").values<uint8_t>();
    REQUIRE(labels.size() == truth.size());
    int64_t different = 0;
    for (size_t i = 0; i < labels.size(); ++i) different += labels[i] != truth[i];
    CHECK(different <= meta["pixels_with_margin_below_1e_4"].get<int64_t>());
  }
}

TEST_CASE("sizes round half to even, windows end flush with the border") {
  CHECK(scaled_size(90, 61, 0.5, 90).width == 30);     // 30.5
  CHECK(scaled_size(90, 61, 0.75, 90).height == 68);   // 67.5
  CHECK(scaled_size(90, 61, 1.25, 90).height == 112);  // 112.5
  CHECK(scaled_size(375, 500, 1, 512).height == 384);
  CHECK(scaled_size(375, 500, 2, 0).width == 1000);  // 0: the image's own size
  CHECK(window_starts(65, 65) == std::vector<int64_t>{0});
  CHECK(window_starts(66, 65) == std::vector<int64_t>{0, 1});
  CHECK(window_starts(112, 65) == std::vector<int64_t>{0, 44, 47});
}

TEST_CASE("a prediction does not depend on how many windows go through the network at a time") {
  Device device = psanet::tests::test_device(0);
  std::vector<float> pixels(70 * 50 * 3);
  for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<float>(i * 37 % 256);
  ProtocolOptions options;
  options.base_size = 0;
  options.scales = {0.75, 1.5};
  std::vector<std::vector<float>> results;
  for (int64_t batch : {1, 2, 5}) {
    Parameters parameters(device);
    Predictor predictor(device, two_convolutions(batch, 33, 33, 3, 8), parameters, options);
    results.push_back(predictor.probabilities({70, 50, pixels.data()}));
    double sum = 0;
    for (size_t c = 0; c < 3; ++c) sum += results.back()[c];
    CHECK(sum == Approx(1).margin(1e-5));
  }
  CHECK(largest_difference(results[0], results[1]) <= 1e-6);
  CHECK(largest_difference(results[0], results[2]) <= 1e-6);
}

}  // namespace
}  // namespace psanet::models
