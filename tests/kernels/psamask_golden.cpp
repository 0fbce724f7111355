// The reference numbers of the point-wise mask operator, exactly.
#include <nlohmann/json.hpp>

#include "engine/safetensors.h"
#include "kernels/psa.h"
#include "tests/kernels/support.h"
#include "tests/support/golden.h"

namespace psanet::tests {

using namespace kernels;

TEST_CASE("PSA moves scores exactly as the official mask operator, both ways") {
  const auto dir = golden_dir();
  if (!dir) return;
  const Safetensors file = read_safetensors(*dir / "psamask.safetensors");
  const auto cases = nlohmann::json::parse(file.metadata.at("cases"));
  REQUIRE(cases.size() >= 20);
  CpuContext ctx(2);
  for (const std::string name : cases) {
    INFO(name);
    const auto about = nlohmann::json::parse(file.metadata.at(name));
    PsaDims dims;
    dims.batch = about.at("batch");
    dims.height = about.at("feature_h");
    dims.width = about.at("feature_w");
    dims.mask_h = about.at("mask_h");
    dims.mask_w = about.at("mask_w");
    dims.mode = about.at("psa_type") == 0 ? PsaMode::collect : PsaMode::distribute;
    dims.softmax = false;
    const int64_t positions = dims.positions(), entries = dims.mask_h * dims.mask_w;
    dims.channels = positions;

    // With one-hot values and raw weights, channel j of the output at i is the weight itself.
    Floats value(static_cast<size_t>(dims.batch * positions * positions), 0.0f);
    for (int64_t n = 0; n < dims.batch; ++n) {
      for (int64_t j = 0; j < positions; ++j) value[static_cast<size_t>((n * positions + j) * positions + j)] = 1;
    }
    const auto tensor = [&](const char* which, int64_t channels) {
      return to_nhwc(file.at(name + "." + which).values<float>(), dims.batch, channels, positions);
    };
    const Floats logits = tensor("input", entries), d_out = tensor("grad_output", positions);
    Floats out(value.size()), d_value(value.size()), d_logits(logits.size());
    const Workspace workspace(ctx, psa_workspace_bytes(ctx, dims));
    psa_forward(ctx, dims, value.data(), logits.data(), out.data(), nullptr, workspace);
    CHECK(difference(out, tensor("output", positions), 0, 0) == "");
    psa_backward(ctx, dims, value.data(), logits.data(), out.data(), nullptr, d_out.data(), d_value.data(),
                 d_logits.data(), workspace);
    CHECK(difference(d_logits, tensor("grad_input", entries), 0, 0) == "");
  }
}

}  // namespace psanet::tests
