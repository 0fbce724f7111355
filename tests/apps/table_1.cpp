// scripts/table1: rows and seeds, signals, failures, the table.
#include <fmt/format.h>
#include <unistd.h>

#include <cmath>
#include <csignal>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "tests/apps/tiny_run.h"
#include "tests/support/catch.h"

namespace psanet::tests {
namespace {

const std::filesystem::path kTable1 = std::filesystem::path(PSANET_SOURCE_DIR) / "scripts" / "table1";

std::vector<std::string> table_1(const std::filesystem::path& output, const std::string& iterations,
                                 const std::vector<std::string>& more) {
  setenv("PSANET_BUILD", std::filesystem::path(PSANET_BIN_DIR).parent_path().c_str(), 1);
  std::vector<std::string> arguments = {"--data",
                                        tiny_scenes(),
                                        "--dataset",
                                        "scenes",
                                        "--recipe",
                                        "demo_with_psa",
                                        "--backbone",
                                        "resnet18_small",
                                        "--iters",
                                        iterations,
                                        "--output",
                                        output,
                                        "--threads",
                                        "1",
                                        "--set",
                                        "batch=2",
                                        "let.crop_h=33",
                                        "let.crop_w=33",
                                        "evaluation.base_size=0",
                                        "evaluation.batch=1"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

bool has_checkpoint(const std::filesystem::path& run) {
  std::error_code none_yet;
  for (const auto& entry : std::filesystem::directory_iterator(run / "checkpoints", none_yet)) {
    if (entry.path().extension() == ".json") return true;
  }
  return false;
}

/// "mIoU/pixel accuracy" of two seeds: mean and standard deviation (of a sample), in percent.
std::string two_seeds(const std::filesystem::path& folder, const std::string& row) {
  double miou[2], accuracy[2];
  for (int seed : {1, 2}) {
    const auto metrics = nlohmann::json::parse(file_bytes(folder / fmt::format("seed{}", seed) / row / "metrics.json"));
    miou[seed - 1] = 100 * metrics["mIoU"].get<double>();
    accuracy[seed - 1] = 100 * metrics["pixel_accuracy"].get<double>();
  }
  return fmt::format("{:.2f}/{:.2f} ± {:.2f}/{:.2f} (2)", (miou[0] + miou[1]) / 2, (accuracy[0] + accuracy[1]) / 2,
                     std::abs(miou[0] - miou[1]) / std::sqrt(2.0),
                     std::abs(accuracy[0] - accuracy[1]) / std::sqrt(2.0));
}

TEST_CASE("table1: stopped in the middle of a row it goes on there and has every seed in the table") {
  const TemporaryFolder folder;
  const std::filesystem::path out = folder / "table", run = out / "seed1" / "baseline";
  const std::vector<std::string> arguments = table_1(out, "80", {"--only", "baseline", "--seeds", "1,2"});
  {
    Running running(kTable1, arguments);
    for (int i = 0; i < 30000 && !has_checkpoint(run); ++i) usleep(2000);
    const ProgramResult beside = run_program(kTable1, arguments);
    CHECK(beside.exit_code == 2);
    CHECK(beside.err.find("another scripts/table1") != std::string::npos);
    running.send(SIGTERM);
    CHECK(running.wait().exit_code == 75);
  }
  const int64_t stopped_at = newest_of(run);
  CHECK(stopped_at > 0);
  REQUIRE(stopped_at < 80);
  CHECK_FALSE(std::filesystem::exists(out / "seed1" / "baseline.trained"));
  run_well(kTable1, arguments);
  const std::string log = file_bytes(out / "seed1" / "baseline.train.log");
  CHECK(log.find(fmt::format("going on at iteration {}\n", stopped_at)) != std::string::npos);
  const std::string table = file_bytes(out / "table1.md");
  INFO(table);
  CHECK(table.find(fmt::format("| Baseline (dilated FCN) | {} | {} | 37.23/78.01 | 38.48/78.92 |\n",
                               two_seeds(out, "baseline.ss"), two_seeds(out, "baseline.ms"))) != std::string::npos);
  CHECK(table.find("80 updates each by the recipe `demo_with_psa`, seeds 1,2, with batch=2") != std::string::npos);
  CHECK(table.find("Multi-scale (MS): semseg protocol: scales 0.5 0.75 1 1.25 1.5 1.75,") != std::string::npos);
  CHECK(table.find("CPU: ") != std::string::npos);
  // Finished rows stay as they are.
  run_well(kTable1, arguments);
  CHECK(file_bytes(out / "seed1" / "baseline.train.log") == log);
  CHECK(file_bytes(out / "table1.md") == table);
}

TEST_CASE("table1: a row that fails is named and the others go on") {
  const TemporaryFolder folder;
  // A value that PSANets alone have.
  const ProgramResult result = run_program(
      kTable1, table_1(folder / "t", "2", {"--set", "let.psa_channels=16", "--only", "baseline,crf,collect"}));
  CHECK(result.exit_code == 1);
  const std::string table = file_bytes(folder / "t" / "table1.md");
  INFO(table);
  size_t before = 0;
  for (const char* row : {"Baseline (dilated FCN)", "+ DenseCRF", "+ GlobalPooling", "+ ASPP", "+ NonLocal", "+ PSP",
                          "+ COLLECT (compact)", "+ COLLECT", "+ DISTRIBUTE", "+ COLLECT + DISTRIBUTE"}) {
    const size_t at = table.find(fmt::format("\n| {} |", row));
    REQUIRE(at != std::string::npos);
    CHECK(at > before);
    before = at;
  }
  CHECK(table.find("| Baseline (dilated FCN) | - | - |") != std::string::npos);
  CHECK(table.find("| + COLLECT | - |") == std::string::npos);
  CHECK(table.find("- failed: Baseline (dilated FCN), seed 1: psanet-train: error:") != std::string::npos);
  CHECK(table.find("let.psa_channels") != std::string::npos);
  CHECK(table.find("- failed: + DenseCRF, seed 1: the baseline failed") != std::string::npos);
}

TEST_CASE("table1: wrong options are one line and exit code 2") {
  const TemporaryFolder folder;
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{"--only", "baseline,spp"}, "no row \"spp\"; there are: baseline crf"},
      {{"--backbone", "resnet19"}, "found \"resnet19\", want resnet18"},
      {{"--iters", "0"}, "--iters: found \"0\""},
      {{"--seeds", "1;2"}, "--seeds: found \"1;2\""},
      {{"--data", folder / "none"}, "no such folder"},
      {{"--colour"}, "unknown option --colour"},
      {{"--seeds"}, "--seeds wants a value"},
  };
  for (const auto& [more, piece] : cases) {
    const ProgramResult result = run_program(kTable1, table_1(folder / "t", "2", more));
    INFO(result.err);
    CHECK(result.exit_code == 2);
    CHECK(result.err.find(piece) != std::string::npos);
    CHECK(result.err.find('\n') == result.err.size() - 1);
  }
  CHECK_FALSE(std::filesystem::exists(folder / "t"));
  run_program(kTable1, table_1(folder / "t", "1", {"--only", "baseline"}));
  const ProgramResult other = run_program(kTable1, table_1(folder / "t", "2", {"--only", "baseline"}));
  CHECK(other.exit_code == 2);
  CHECK(other.err.find("holds the table of another budget") != std::string::npos);
}

}  // namespace
}  // namespace psanet::tests
