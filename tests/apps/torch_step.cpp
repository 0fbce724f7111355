// scripts/gpu/torch_step.py: one step of a whole network beside PyTorch.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "tests/apps/programs.h"
#include "tests/support/catch.h"

namespace psanet::tests {
namespace {

const std::string kScript = std::string(PSANET_SOURCE_DIR) + "/scripts/gpu/torch_step.py";
const std::string kProgram = std::string(PSANET_BIN_DIR) + "/psanet-run";
const std::filesystem::path kReference =
    std::filesystem::path(PSANET_SOURCE_DIR).parent_path() / "shared" / "reference";

TEST_CASE("torch_step: wrong input is one line and exit code 2") {
  if (!python_is_there()) return;
  const TemporaryFolder folder;
  const std::string output = folder / "step.json";
  const std::vector<std::vector<std::string>> wrong = {
      {},
      {"--psanet-run", kProgram, "--reference", folder / "nothing", "--output", output},
      {"--psanet-run", folder / "nothing", "--reference", kReference, "--output", output},
      {"--psanet-run", kProgram, "--reference", kReference, "--output", output, "--crop", "64"},
      {"--psanet-run", kProgram, "--reference", kReference, "--output", output, "--batch", "none"},
      {"--psanet-run", kProgram, "--reference", kReference, "--output", output, "--model", "psanet51"},
  };
  for (const auto& arguments : wrong) {
    const ProgramResult result = run_program(kScript, arguments);
    INFO(result.out << result.err);
    CHECK(result.exit_code == 2);
    CHECK(std::count(result.err.begin(), result.err.end(), '\n') == 1);
    CHECK(result.err.rfind("torch_step.py: ", 0) == 0);
  }
}

TEST_CASE("torch_step: psanet18 is as exact as PyTorch, and a mistake is seen") {
  if (!python_is_there()) return;
  if (run_program("/usr/bin/env", {"python3", "-c", "import torch"}).exit_code != 0) {
    WARN("SKIPPED: python3 has no PyTorch");
    return;
  }
  if (!std::filesystem::exists(kReference / "psanet_torch.py")) {
    WARN("SKIPPED: ../shared/reference not found");
    return;
  }
  const TemporaryFolder folder;
  const std::string output = folder / "step.json";
  std::vector<std::string> arguments = {"--psanet-run", kProgram,   "--reference", kReference, "--output", output,
                                        "--model",      "psanet18", "--crop",      "65",       "--device", "cpu"};
  const ProgramResult good = run_program(kScript, arguments);
  INFO(good.out << good.err);
  CHECK(good.exit_code == 0);
  auto report = nlohmann::json::parse(file_bytes(output));
  CHECK(report.at("passed") == true);
  CHECK(report.at("rows").size() > 200);

  arguments.insert(arguments.end(), {"--mistake", "psa.attention.3.weight"});
  CHECK(run_program(kScript, arguments).exit_code == 1);
  report = nlohmann::json::parse(file_bytes(output));
  CHECK(report.at("passed") == false);
}

}  // namespace
}  // namespace psanet::tests
