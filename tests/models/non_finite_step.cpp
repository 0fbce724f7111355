// A training step whose loss is not finite changes no bit of what training keeps.
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "engine/program.h"
#include "engine/random.h"
#include "models/model_file.h"
#include "models/training_step.h"
#include "models/weights_file.h"
#include "tests/support/catch.h"

namespace psanet::tests {
namespace {

TEST_CASE("a training step whose loss is not finite changes nothing and training goes on as if it had not been") {
  const models::Model model = models::read_model("psanet18_small", {{"classes", 3},
                                                                    {"crop_h", 33},
                                                                    {"crop_w", 33},
                                                                    {"stem_1", 8},
                                                                    {"stem_2", 8},
                                                                    {"stem_3", 16},
                                                                    {"psa_channels", 16}});
  Device device = Device::cpu(1);
  const Graph graph = models::training_step(model.build({layers::Mode::train, 2}), {});
  struct Trained {
    Parameters parameters;
    Program program;
    Trained(Device& d, const Graph& g) : parameters(d), program(d, g, parameters, 5) {}
    float step(int64_t number, float first_pixel) {
      Tensor image = program.input("image"), label = program.input("label");
      std::vector<float> pixels(static_cast<size_t>(image.type().elements()));
      const uint64_t key = static_cast<uint64_t>(number);
      for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<float>(random_unit(key, i));
      pixels[0] = first_pixel;
      std::vector<uint8_t> labels(static_cast<size_t>(label.type().elements()));
      for (size_t i = 0; i < labels.size(); ++i) labels[i] = static_cast<uint8_t>(i / 11 % 3);
      image.set(pixels);
      label.set(labels);
      program.input("rate").set(std::vector<float>{0.02f});
      if (program.has_input("counter")) program.input("counter").set(std::vector<int64_t>{7, number});
      program.run();
      return program.output("loss").get<float>()[0];
    }
    Safetensors state() { return models::to_file(parameters, 0, true); }
  };
  const auto same = [](const Safetensors& a, const Safetensors& b) {
    for (const auto& [name, tensor] : a.tensors) {
      if (tensor.bytes != b.at(name).bytes) return false;
    }
    return a.tensors.size() == b.tensors.size();
  };
  Trained interrupted(device, graph), plain(device, graph);
  CHECK(std::isfinite(interrupted.step(0, 1)));
  plain.step(0, 1);
  const Safetensors before = interrupted.state();
  CHECK(before.contains("momentum.layer0.0.weight"));
  CHECK(before.contains("layer0.1.running_mean"));
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    CHECK_FALSE(std::isfinite(interrupted.step(1, bad)));
    CHECK(same(interrupted.state(), before));
  }
  CHECK(interrupted.step(2, 1) == plain.step(2, 1));
  CHECK(same(interrupted.state(), plain.state()));
  CHECK_FALSE(same(interrupted.state(), before));
}

}  // namespace
}  // namespace psanet::tests
