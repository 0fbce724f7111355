// The point-wise mask operator, exactly (golden psamask.safetensors): with the identity as values and without softmax,
// the attention op's result is the attention matrix itself.
#include <nlohmann/json.hpp>

#include "engine/program.h"
#include "layers/psa.h"
#include "tests/support/build.h"
#include "tests/support/catch.h"
#include "tests/support/golden.h"
#include "tests/support/golden_file.h"
#include "tests/support/test_device.h"

namespace psanet::tests {
namespace {

TEST_CASE("golden: the mask operator of collect and distribute is exact, forward and backward", "[golden]") {
  const auto dir = golden_dir();
  if (!dir) return;
  const GoldenFile file(*dir / "psamask.safetensors");
  int checked = 0;
  for (const std::string& name : file.cases()) {
    INFO(name);
    const nlohmann::json c = file.metadata(name);
    const HostTensor logits = file.channels_last(name + ".input");
    const HostTensor grad_output = file.channels_last(name + ".grad_output");
    const int64_t positions = logits[1] * logits[2];
    HostTensor identity(f32({logits[0], logits[1], logits[2], positions}));
    for (int64_t row = 0; row < logits[0] * positions; ++row) identity.at(row * positions + row % positions) = 1;

    layers::Psa psa;
    psa.mode = c.at("psa_type") == 0 ? layers::PsaMode::collect : layers::PsaMode::distribute;
    psa.mask_h = c.at("mask_h").get<int64_t>();
    psa.mask_w = c.at("mask_w").get<int64_t>();
    psa.softmax = false;

    Graph graph;
    const Value in = graph.input("logits", logits.type);
    const Value out = graph.add("psa", psa, {graph.input("value", identity.type), in});
    graph.output("out", out);
    add_gradients(graph, dot(graph, "loss", out, graph.input("grad", grad_output.type)), {in});

    Device device = test_device();
    Parameters parameters(device);
    Program program(device, graph, parameters);
    write_values(program.input("logits"), logits);
    write_values(program.input("value"), identity);
    write_values(program.input("grad"), grad_output);
    program.run();
    CHECK(difference(read_values(program.output("out")), file.channels_last(name + ".output"), {}) == "");
    CHECK(difference(read_values(program.output("grad.logits")), file.channels_last(name + ".grad_input"), {}) == "");
    ++checked;
  }
  CHECK(checked == 20);
}

}  // namespace
}  // namespace psanet::tests
