// The test protocol (SPEC 6) against the official script's numbers.
#include <array>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "engine/error.h"
#include "engine/safetensors.h"
#include "kernels/sliding_window.h"
#include "layers/conv2d.h"
#include "layers/relu.h"
#include "layers/resize.h"
#include "models/prediction.h"
#include "tests/support/allocation_count.h"
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

/// The picture at another size, not normalised.
std::vector<float> resized(Device& device, const FloatImageView& image, PlaneSize size) {
  HostTaps rows, columns;
  rows.bilinear(image.height, size.height);
  columns.bilinear(image.width, size.width);
  GrowingBuffer picture(device), plane(device), row_index(device), row_weight(device), column_index(device),
      column_weight(device);
  kernels::InputPlaneDims dims;
  dims.picture_w = image.width;
  dims.height = size.height;
  dims.width = size.width;
  dims.rows = {size.height, rows.taps, row_index.hold(std::span<const int32_t>(rows.index)),
               row_weight.hold(std::span<const float>(rows.weight))};
  dims.columns = {size.width, columns.taps, column_index.hold(std::span<const int32_t>(columns.index)),
                  column_weight.hold(std::span<const float>(columns.weight))};
  picture.hold(std::span<const float>(image.pixels, static_cast<size_t>(image.height * image.width * 3)));
  std::vector<float> result(static_cast<size_t>(size.height * size.width * 3));
  auto* out = plane.room_for<float>(size.height * size.width * 3);
  device.visit([&](auto& ctx) {
    kernels::make_input_plane(ctx, dims, picture.values<float>(), out);
    kernels::copy_to_host(ctx, result.data(), out, static_cast<int64_t>(result.size() * sizeof(float)));
  });
  return result;
}

// The function that builds a predictor's programs refers to it.
static_assert(!std::is_move_constructible_v<models::Predictor> && !std::is_copy_constructible_v<models::Predictor>);

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
      const PlaneSize size = scaled_size({h, w}, options.scales[s], options);
      CHECK(size.height == expected["new_h"].get<int64_t>());
      CHECK(size.width == expected["new_w"].get<int64_t>());
      CHECK(largest_difference(resized(device, image, size), as_floats(tensor("scaled" + std::to_string(s)))) <= 2e-3);
      ProtocolOptions alone = options;
      alone.scales = {options.scales[s]};
      Predictor one_scale(device, graph, parameters, alone);
      CHECK(largest_difference(one_scale.probabilities(image), as_floats(tensor("pred" + std::to_string(s)))) <= 2e-5);
    }
    CHECK(largest_difference(predictor.probabilities(image), as_floats(tensor("prob"))) <= 2e-5);
    const std::vector<uint8_t> labels = predictor.labels(image), truth = tensor("argmax").values<uint8_t>();
    REQUIRE(labels.size() == truth.size());
    int64_t different = 0;
    for (size_t i = 0; i < labels.size(); ++i) different += labels[i] != truth[i];
    CHECK(different <= meta["pixels_with_margin_below_1e_4"].get<int64_t>());
  }
}

std::vector<int64_t> starts(int64_t size, int64_t crop, int64_t stride = 0) {
  std::vector<int64_t> result;
  window_starts(size, crop, stride, result);
  return result;
}

TEST_CASE("sizes round half to even, windows end flush with the border") {
  ProtocolOptions options;
  options.base_size = 90;
  CHECK(scaled_size({90, 61}, 0.5, options).width == 30);     // 30.5
  CHECK(scaled_size({90, 61}, 0.75, options).height == 68);   // 67.5
  CHECK(scaled_size({90, 61}, 1.25, options).height == 112);  // 112.5
  options.base_size = 512;
  CHECK(scaled_size({375, 500}, 1, options) == PlaneSize{384, 512});
  options.base_size = 0;
  CHECK(scaled_size({375, 500}, 2, options).width == 1000);  // 0: the image's own size
  CHECK(starts(65, 65) == std::vector<int64_t>{0});
  CHECK(starts(66, 65) == std::vector<int64_t>{0, 1});
  CHECK(starts(112, 65) == std::vector<int64_t>{0, 44, 47});
  CHECK(starts(112, 65, 20) == std::vector<int64_t>{0, 20, 40, 47});
}

TEST_CASE("the caffe protocol: a long side of base times scale and one more, halves away from zero") {
  ProtocolOptions options;
  options.protocol = Protocol::caffe;
  options.base_size = 512;
  CHECK(scaled_size({375, 500}, 1, options) == PlaneSize{385, 513});  // 384.75
  CHECK(scaled_size({375, 500}, 0.5, options) == PlaneSize{193, 257});
  options.base_size = 9;
  CHECK(scaled_size({25, 100}, 1, options) == PlaneSize{3, 10});  // 2.5: away from zero, not to even
}

TEST_CASE("imresize widens its triangle when shrinking and reflects at the borders") {
  HostTaps taps;
  taps.imresize(8, 4);
  REQUIRE(taps.out == 4);
  const std::vector<float> in = {10, 20, 30, 40, 50, 60, 70, 80};
  const auto out = [&](int64_t i) {
    float sum = 0;
    for (int64_t k = 0; k < taps.taps; ++k) {
      const auto at = static_cast<size_t>(i * taps.taps + k);
      sum += taps.weight[at] * in[static_cast<size_t>(taps.index[at])];
    }
    return sum;
  };
  // By hand: weights 1/8 3/8 3/8 1/8 about the place 2 i + 0.5; the place before the first is the first again.
  CHECK(out(0) == Approx((10 + 3 * 10 + 3 * 20 + 30) / 8.0));
  CHECK(out(1) == Approx((20 + 3 * 30 + 3 * 40 + 50) / 8.0));
  CHECK(out(3) == Approx((60 + 3 * 70 + 3 * 80 + 80) / 8.0));
  taps.imresize(4, 8);  // enlarging: plain bilinear
  CHECK(out(2) == Approx(0.25 * 10 + 0.75 * 20));
  CHECK(out(0) == Approx(10));
}

std::vector<float> made_up_pixels(int64_t height, int64_t width) {
  std::vector<float> pixels(static_cast<size_t>(height * width * 3));
  for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<float>(i * 37 % 256);
  return pixels;
}

/// "logits": the picture, enlarged or not, through our own kernels alone: the image's three channels as three classes.
Graph channels_as_classes(int64_t batch, int64_t crop_h, int64_t crop_w) {
  Graph graph;
  const Value image = graph.input("image", f32({batch, crop_h, crop_w, 3}));
  const Value small = graph.add("small", layers::Resize{(crop_h + 3) / 4, (crop_w + 3) / 4, true}, {image});
  graph.output("logits", graph.add("relu", layers::Relu{}, {small}));
  return graph;
}

ResizableNetwork resizable_channels() {
  return {[](PlaneSize size) {
            return PlaneSize{(size.height + 6) / 8 * 8 + 1, (size.width + 6) / 8 * 8 + 1};
          },
          [](int64_t batch, PlaneSize size) { return channels_as_classes(batch, size.height, size.width); }};
}

TEST_CASE("every protocol gives the same bits whatever the batch of windows") {
  Device device = psanet::tests::test_device(2);
  const std::vector<float> pixels = made_up_pixels(70, 50);
  for (Protocol protocol : {Protocol::semseg, Protocol::caffe, Protocol::whole, Protocol::slide}) {
    for (bool mirror : {true, false}) {
      CAPTURE(name(protocol), mirror);
      ProtocolOptions options;
      options.protocol = protocol;
      options.base_size = 0;
      options.scales = {0.4, 0.75, 1.5};
      options.mirror = mirror;
      std::vector<float> first;
      for (int64_t batch : {1, 2, 3, 5}) {
        Parameters parameters(device);
        Predictor predictor(device, channels_as_classes(batch, 33, 41), parameters, options, resizable_channels());
        const std::vector<float> result = predictor.probabilities({70, 50, pixels.data()});
        if (first.empty()) first = result;
        CHECK(std::memcmp(first.data(), result.data(), first.size() * sizeof(float)) == 0);
        for (size_t pixel = 0; pixel < 70 * 50; pixel += 61) {
          CHECK(result[3 * pixel] + result[3 * pixel + 1] + result[3 * pixel + 2] == Approx(1).margin(1e-5));
        }
      }
    }
  }
}

TEST_CASE("predictions have the same bits for any number of threads") {
  const std::vector<float> pixels = made_up_pixels(70, 50);
  for (Protocol protocol : {Protocol::semseg, Protocol::caffe, Protocol::slide}) {
    ProtocolOptions options;
    options.protocol = protocol;
    options.base_size = 100;
    std::vector<float> first;
    for (int threads : {1, 2, 3}) {
      Device device = psanet::tests::test_device(threads);
      Parameters parameters(device);
      Predictor predictor(device, channels_as_classes(2, 33, 41), parameters, options);
      const std::vector<float> result = predictor.probabilities({70, 50, pixels.data()});
      if (first.empty()) first = result;
      CHECK(std::memcmp(first.data(), result.data(), first.size() * sizeof(float)) == 0);
    }
  }
}

TEST_CASE("convolutions of oneDNN may differ in the last bits with the batch of windows") {
  Device device = psanet::tests::test_device(0);
  const std::vector<float> pixels = made_up_pixels(70, 50);
  ProtocolOptions options;
  options.base_size = 0;
  options.scales = {0.75, 1.5};
  std::vector<std::vector<float>> results;
  for (int64_t batch : {1, 2, 5}) {
    Parameters parameters(device);
    Predictor predictor(device, two_convolutions(batch, 33, 33, 3, 8), parameters, options);
    results.push_back(predictor.probabilities({70, 50, pixels.data()}));
  }
  CHECK(largest_difference(results[0], results[1]) <= 1e-6);
  CHECK(largest_difference(results[0], results[2]) <= 1e-6);
}

/// The channels of a picture as classes, computed by hand for one scale without resizing.
TEST_CASE("protocols differ in what they average") {
  Device device = psanet::tests::test_device(1);
  const int64_t h = 9, w = 13, crop = 9;
  const std::vector<float> pixels = made_up_pixels(h, w);
  const FloatImageView image{h, w, pixels.data()};
  // Logits that depend on the place in the window: pixel + column * class / 10.
  const auto graph = [&](int64_t batch) {
    Graph g;
    const Value x = g.input("image", f32({batch, crop, crop, 3}));
    const Value slope = g.parameter("slope", f32({3, 5, 5, 3}), Initializer::uniform(0.5), FileLayout::conv_weight);
    layers::Conv2d op;  // padded with zeros: borders of windows give other logits
    op.padding = {2, 2};
    g.output("logits", g.add("conv", op, {x, slope}));
    return g;
  };
  Parameters parameters(device);
  ProtocolOptions options;
  options.base_size = 0;
  options.mirror = false;
  const auto with = [&](Protocol protocol) {
    ProtocolOptions o = options;
    o.protocol = protocol;
    Predictor predictor(device, graph(2), parameters, o);
    return predictor.probabilities(image);
  };
  // The two windows' logits straight from programs.
  Program program(device, prediction_graph(graph(1), device.target(), false), parameters);
  const auto logits_at = [&](int64_t left, bool mirrored) {
    std::vector<float> in;
    for (int64_t y = 0; y < crop; ++y) {
      for (int64_t x = 0; x < crop; ++x) {
        const int64_t from = left + (mirrored ? crop - 1 - x : x);
        for (int64_t c = 0; c < 3; ++c) {
          const auto k = static_cast<size_t>(c);
          in.push_back((pixels[static_cast<size_t>((y * w + from) * 3 + c)] - options.input.mean[k]) /
                       options.input.std[k]);
        }
      }
    }
    program.input("image").set(in);
    program.run();
    const std::vector<float> out = program.output("logits").get<float>();
    if (!mirrored) return out;
    std::vector<float> back(out.size());
    for (int64_t y = 0; y < crop; ++y) {
      for (int64_t x = 0; x < crop; ++x) {
        for (int64_t c = 0; c < 3; ++c) {
          back[static_cast<size_t>((y * crop + x) * 3 + c)] =
              out[static_cast<size_t>((y * crop + crop - 1 - x) * 3 + c)];
        }
      }
    }
    return back;
  };
  using Three = std::array<double, 3>;
  const auto softmax = [](Three x) {
    const double top = std::max({x[0], x[1], x[2]});
    double sum = 0;
    for (double& v : x) sum += v = std::exp(v - top);
    for (double& v : x) v /= sum;
    return x;
  };
  // Columns 4..8 lie in both windows (starts 0 and 4).
  const int64_t y = 3, x = 4;  // at the second window's border
  const auto at = [&](const std::vector<float>& map, int64_t left) {
    Three result{};
    for (size_t c = 0; c < 3; ++c) result[c] = map[static_cast<size_t>((y * crop + x - left) * 3) + c];
    return result;
  };
  const auto mean = [](const Three& a, const Three& b) {
    return Three{(a[0] + b[0]) / 2, (a[1] + b[1]) / 2, (a[2] + b[2]) / 2};
  };
  const auto sum = [](const Three& a, const Three& b) { return Three{a[0] + b[0], a[1] + b[1], a[2] + b[2]}; };
  const auto check = [&](const std::vector<float>& found, const Three& wanted) {
    for (size_t c = 0; c < 3; ++c)
      CHECK(found[static_cast<size_t>((y * w + x) * 3) + c] == Approx(wanted[c]).epsilon(2e-5));
  };
  const Three a = at(logits_at(0, false), 0), b = at(logits_at(4, false), 4);
  const Three a_mirrored = at(logits_at(0, true), 0), b_mirrored = at(logits_at(4, true), 4);
  check(with(Protocol::semseg), mean(softmax(a), softmax(b)));
  check(with(Protocol::slide), softmax(mean(a, b)));
  options.mirror = true;
  check(with(Protocol::semseg), mean(mean(softmax(a), softmax(a_mirrored)), mean(softmax(b), softmax(b_mirrored))));
  check(with(Protocol::slide), mean(softmax(mean(a, b)), softmax(mean(a_mirrored, b_mirrored))));
  CHECK(std::abs(mean(softmax(a), softmax(b))[0] - softmax(mean(a, b))[0]) > 1e-4);
  // The caffe protocol at the image's own size: a base of one less.
  options.base_size = w - 1;
  check(with(Protocol::caffe), mean(softmax(sum(a, a_mirrored)), softmax(sum(b, b_mirrored))));
}

TEST_CASE("whole images: a program for each size, dropped when there is no room") {
  Device device = psanet::tests::test_device(1);
  ProtocolOptions options;
  options.protocol = Protocol::whole;
  options.base_size = 0;
  const std::vector<float> pixels = made_up_pixels(70, 50);
  Parameters parameters(device);
  CHECK_THROWS_AS(Predictor(device, channels_as_classes(2, 33, 33), parameters, options), ConfigError);
  Predictor roomy(device, channels_as_classes(2, 33, 33), parameters, options, resizable_channels());
  Predictor tight(device, channels_as_classes(2, 33, 33), parameters, options, resizable_channels(), 1);
  for (int round = 0; round < 2; ++round) {
    for (auto [h, w] : {std::pair<int64_t, int64_t>{70, 50}, {50, 70}, {66, 50}}) {
      const FloatImageView image{h, w, pixels.data()};
      CHECK(roomy.probabilities(image) == tight.probabilities(image));
    }
  }
  CHECK(roomy.programs_built() == 3);  // the crop's own, 73x57 (twice), 57x73
  CHECK(tight.programs_built() == 6);  // one at a time: the crop's own, then 73x57, 57x73, 73x57, 57x73, 73x57
}

TEST_CASE("a compact map cannot be run on whole images but an over-complete one can with the mask of its training") {
  Device device = psanet::tests::test_device(1);
  const nlohmann::json settings = {{"classes", 3}, {"crop_h", 33}, {"crop_w", 33}};
  const std::vector<float> pixels = made_up_pixels(40, 50);
  const FloatImageView image{40, 50, pixels.data()};
  ProtocolOptions options;
  options.protocol = Protocol::whole;
  options.base_size = 0;
  {
    const Model model = read_model("psanet18_small", settings);
    Parameters parameters(device);
    Predictor predictor(device, model.build({layers::Mode::eval, 2}), parameters, options,
                        resizable_network("psanet18_small", settings));
    const std::vector<float> p = predictor.probabilities(image);
    CHECK(p[0] + p[1] + p[2] == Approx(1).margin(1e-5));
    const size_t entries = parameters.entries().size();
    CHECK(predictor.labels({33, 33, pixels.data()}).size() == 33 * 33);
    CHECK(parameters.entries().size() == entries);  // the weights are the same
  }
  const Model model = read_model("psanet50_compact", settings);
  Parameters parameters(device);
  const ResizableNetwork resizable = resizable_network("psanet50_compact", settings);
  CHECK(resizable.fit({40, 50}) == PlaneSize{49, 65});
  CHECK_THROWS_AS(resizable.graph(1, {49, 65}), ConfigError);
  try {
    resizable.graph(1, {49, 65});
  } catch (const ConfigError& e) {
    CHECK(std::string(e.what()).find("want the protocol slide") != std::string::npos);
  }
}

TEST_CASE("a second image of the same size allocates nothing on the device, and its counts stay there") {
  Device device = psanet::tests::test_device(2);
  const std::vector<float> pixels = made_up_pixels(70, 50);
  const FloatImageView image{70, 50, pixels.data()}, smaller{40, 50, pixels.data()};
  std::vector<uint8_t> truth(70 * 50);
  for (size_t i = 0; i < truth.size(); ++i) truth[i] = i % 7 == 0 ? 255 : static_cast<uint8_t>(i % 3);
  for (Protocol protocol : {Protocol::semseg, Protocol::caffe, Protocol::slide}) {
    CAPTURE(name(protocol));
    ProtocolOptions options;
    options.protocol = protocol;
    options.base_size = 0;
    options.scales = {0.5, 1.25};
    Parameters parameters(device);
    Predictor predictor(device, channels_as_classes(2, 33, 33), parameters, options);
    predictor.score(image, truth);
    const std::vector<uint8_t> labels = predictor.last_labels();
    std::vector<int64_t> wanted(9);
    for (size_t i = 0; i < truth.size(); ++i) {
      if (truth[i] != 255) ++wanted[truth[i] * 3 + labels[i]];
    }
    CHECK(predictor.confusion() == wanted);
    predictor.score(image, truth);
    for (int64_t& n : wanted) n *= 2;
    CHECK(predictor.confusion() == wanted);
    predictor.count(truth, truth);
    for (size_t i = 0; i < truth.size(); ++i) {
      if (truth[i] != 255) ++wanted[truth[i] * 4];
    }
    CHECK(predictor.confusion() == wanted);

    const int64_t bytes = predictor.buffer_bytes();
    if (psanet::tests::allocations_are_counted()) {
      const int64_t before = psanet::tests::allocations();
      predictor.score(image, truth);
      predictor.score(smaller, std::span<const uint8_t>(truth).first(40 * 50));
      CHECK(psanet::tests::allocations() == before);
    }
    CHECK(predictor.buffer_bytes() == bytes);
  }
}

TEST_CASE("protocol options that make no sense are one line") {
  Device device = psanet::tests::test_device(1);
  Parameters parameters(device);
  const auto fails = [&](auto change, const char* with) {
    ProtocolOptions options;
    change(options);
    try {
      Predictor predictor(device, channels_as_classes(1, 33, 33), parameters, options);
      CHECK(false);
    } catch (const ConfigError& e) {
      CHECK(std::string(e.what()).find(with) != std::string::npos);
    }
  };
  fails([](ProtocolOptions& o) { o.stride = 10; }, "the protocol slide");
  fails(
      [](ProtocolOptions& o) {
        o.protocol = Protocol::slide;
        o.stride = 34;
      },
      "want at most 33");
  fails([](ProtocolOptions& o) { o.scales = {1, 0}; }, "above 0");
  CHECK_THROWS_AS(protocol_named("sliding"), ConfigError);
  CHECK(protocol_named("slide") == Protocol::slide);
}

}  // namespace
}  // namespace psanet::models
