// Single layers with gradients against the reference numbers (golden layers.safetensors).
#include <cmath>
#include <nlohmann/json.hpp>

#include "engine/program.h"
#include "layers/arithmetic.h"
#include "layers/cross_entropy.h"
#include "layers/dropout2d.h"
#include "models/weights_file.h"
#include "tests/support/build.h"
#include "tests/support/catch.h"
#include "tests/support/golden.h"
#include "tests/support/golden_file.h"
#include "tests/support/test_device.h"

namespace psanet::tests {
namespace {

using nlohmann::json;

/// A layer as a model file has it: its word and attributes; the parameters are the case's tensors.
struct Described {
  std::string word;
  json attributes;
};

Described describe(const json& c, const GoldenFile& file, const std::string& name) {
  const auto kind = c.at("kind").get<std::string>();
  if (kind == "conv2d") {
    const HostTensor weight = file.tensor(name + ".weight");
    return {"conv2d",
            {{"out_channels", weight[0]},
             {"kernel", {weight[2], weight[3]}},
             {"stride", c.at("stride")},
             {"padding", c.at("padding")},
             {"dilation", c.at("dilation")},
             {"bias", c.at("bias")}}};
  }
  if (kind == "batch_norm") return {"batch_norm", {{"epsilon", c.at("eps")}, {"momentum", c.at("momentum")}}};
  if (kind == "max_pool2d")
    return {"max_pool", {{"kernel", c.at("kernel")}, {"stride", c.at("stride")}, {"padding", c.at("padding")}}};
  if (kind == "bilinear_align_corners") return {"resize", {{"height", c.at("out_h")}, {"width", c.at("out_w")}}};
  if (kind == "adaptive_avg_pool2d") return {"adaptive_average_pool", {{"size", c.at("bin")}}};
  if (kind == "softmax_dim1") return {"softmax", json::object()};
  if (kind == "relu") return {"relu", json::object()};
  FAIL("a kind of layer that this test does not know: " << kind);
  return {};
}

void check(const HostTensor& found, const HostTensor& wanted, const std::string& what) {
  // The absolute part covers batch norms over few rows, whose values are large (golden README).
  const double scale = std::max(1.0, largest(wanted.values));
  const std::string off = difference(found, wanted, {2e-5 * (what == "bn" ? scale : 1), 1e-5});
  INFO(what);
  CHECK(off == "");
}

void check_word(const GoldenFile& file, const std::string& name) {
  const json c = file.metadata(name);
  const Described layer = describe(c, file, name);
  const layers::Mode mode = c.value("mode", "eval") == "train" ? layers::Mode::train : layers::Mode::eval;

  Graph graph;
  const HostTensor x = file.channels_last(name + ".x");
  HostTensor grad_y = file.channels_last(name + ".y");
  if (file.contains(name + ".grad_y")) {
    grad_y = file.channels_last(name + ".grad_y");
  } else {  // the ReLU's upstream gradient is one
    std::fill(grad_y.values.begin(), grad_y.values.end(), 1.0);
  }
  const Value in = graph.input("x", x.type);
  const Value y = add_word({graph, mode, "layer"}, layer.word, layer.attributes, {in});
  graph.output("y", y);
  Values wanted = graph.sources(Source::Kind::parameter);
  wanted.push_back(in);
  add_gradients(graph, dot(graph, "loss", y, graph.input("grad_y", grad_y.type)), wanted);

  Device device = test_device();
  Parameters parameters(device);
  Program program(device, graph, parameters);
  Safetensors weights;
  for (const char* parameter : {"weight", "bias"}) {
    if (file.contains(name + "." + parameter))
      weights.tensors[std::string("layer.") + parameter] = file.below(name + ".").at(parameter);
  }
  const bool norm = layer.word == "batch_norm";
  if (norm) {
    weights.tensors["layer.running_mean"] = file.below(name + ".").at("running_mean_in");
    weights.tensors["layer.running_var"] = file.below(name + ".").at("running_var_in");
  }
  models::load_weights(parameters, weights, "golden", false);
  write_values(program.input("x"), x);
  if (program.has_input("grad_y")) write_values(program.input("grad_y"), grad_y);
  program.run();

  const std::string kind = norm ? "bn" : layer.word;
  check(read_values(program.output("y")), file.channels_last(name + ".y"), kind);
  check(read_values(program.output("grad.x")), file.channels_last(name + ".grad_x"), kind);
  for (const char* parameter : {"weight", "bias"}) {
    const std::string gradient = name + ".grad_" + parameter;
    if (!file.contains(gradient)) continue;
    check(read_values(program.output(std::string("grad.layer.") + parameter)), file.channels_last(gradient), kind);
  }
  if (norm) {
    check(read_values(parameters.tensor("layer.running_mean")), file.tensor(name + ".running_mean_out"), "mean");
    check(read_values(parameters.tensor("layer.running_var")), file.tensor(name + ".running_var_out"), "variance");
  }
}

void check_cross_entropy(const GoldenFile& file, const std::string& name) {
  Graph graph;
  const HostTensor x = file.channels_last(name + ".x");
  HostTensor label = file.tensor(name + ".target");
  label.type.dtype = DType::u8;
  const Value in = graph.input("x", x.type);
  const Values sums = graph.apply("sum", layers::ResizeCrossEntropy{}, {in, graph.input("label", label.type)});
  const Value loss = graph.add("loss", layers::DivideOrZero{}, {sums[0], sums[1]});
  graph.output("loss", loss);
  graph.output("valid", sums[1]);
  add_gradients(graph, loss, {in});

  Device device = test_device();
  Parameters parameters(device);
  Program program(device, graph, parameters);
  write_values(program.input("x"), x);
  write_values(program.input("label"), label);
  program.run();

  const json c = file.metadata(name);
  HostTensor wanted = file.tensor(name + ".loss");
  if (c.at("loss_is_nan").get<bool>()) {
    CHECK(std::isnan(wanted.at(0)));
    wanted.at(0) = 0;  // SPEC 3: a batch without a valid pixel has loss 0 here
  }
  check(read_values(program.output("loss")), wanted, "loss");
  CHECK(read_values(program.output("valid")).at(0) == c.at("valid_pixels").get<double>());
  check(read_values(program.output("grad.x")), file.channels_last(name + ".grad_x"), "gradient");
}

void check_dropout(const GoldenFile& file, const std::string& name) {
  Graph graph;
  const HostTensor x = file.channels_last(name + ".x"), grad_y = file.channels_last(name + ".grad_y");
  HostTensor factor = file.tensor(name + ".keep");
  factor.type.dtype = DType::f32;
  for (double& keep : factor.values) keep /= 1 - file.metadata(name).at("p").get<double>();
  const Value in = graph.input("x", x.type);
  const Value y = graph.add("y", layers::ChannelScale{}, {in, graph.input("factor", factor.type)});
  graph.output("y", y);
  add_gradients(graph, dot(graph, "loss", y, graph.input("grad_y", grad_y.type)), {in});

  Device device = test_device();
  Parameters parameters(device);
  Program program(device, graph, parameters);
  write_values(program.input("x"), x);
  write_values(program.input("factor"), factor);
  write_values(program.input("grad_y"), grad_y);
  program.run();
  check(read_values(program.output("y")), file.channels_last(name + ".y"), "y");
  check(read_values(program.output("grad.x")), file.channels_last(name + ".grad_x"), "gradient");
}

TEST_CASE("golden: every single layer and its gradient agree with PyTorch", "[golden]") {
  const auto dir = golden_dir();
  if (!dir) return;
  const GoldenFile file(*dir / "layers.safetensors");
  int checked = 0;
  for (const std::string& name : file.cases()) {
    INFO(name);
    const auto kind = file.metadata(name).at("kind").get<std::string>();
    if (kind == "cross_entropy") {
      check_cross_entropy(file, name);
    } else if (kind == "dropout2d") {
      check_dropout(file, name);
    } else {
      check_word(file, name);
    }
    ++checked;
  }
  CHECK(checked == 59);
}

}  // namespace
}  // namespace psanet::tests
