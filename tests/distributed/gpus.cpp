// Ranks on GPUs: emulated ones, with the stub in NCCL's place (tests/nccl). What is tested is all of this project's
// code between psanet-train and NCCL's functions, in processes of their own.
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>

#include "engine/device.h"
#include "engine/distributed/gloo_communicator.h"
#include "tests/apps/tiny_run.h"
#include "tests/distributed/by_hand.h"
#include "tests/support/catch.h"

namespace psanet::tests {
namespace {

namespace fs = std::filesystem;
using std::chrono::steady_clock;

constexpr const char* kProgram = "emulated_train";

bool skipped() {
  const bool there = fs::exists(fs::path(PSANET_BIN_DIR) / kProgram);
  if (!has_gloo()) WARN("SKIPPED: built without Gloo");
  if (!there) WARN("SKIPPED: built without CUDA, so without its emulation");
  return !has_gloo() || !there;
}

std::vector<std::string> on_gpus(const TinyRun& tiny, const std::string& run, int ranks,
                                 std::vector<std::string> settings, const std::string& limit_seconds = "20") {
  settings.insert(settings.begin(), {"--gpus", std::to_string(ranks), "--collective-limit", limit_seconds, "--set"});
  return tiny.arguments(run, settings);
}

const std::vector<std::string> kTen = {"batch=4", "iterations=10", "val_split=val", "evaluation.every=10"};

TEST_CASE("gpus: two and three ranks train what one trains") {
  if (skipped()) return;
  const TinyRun tiny;
  run_well(kProgram, on_gpus(tiny, "one", 1, kTen));
  const Variable gpus("PSANET_EMULATED_GPUS", "3");
  for (const int ranks : {2, 3}) {  // three: parts of two, one and one image
    const std::string name = "ranks" + std::to_string(ranks);
    const ProgramResult said = run_well(kProgram, on_gpus(tiny, name, ranks, kTen));
    CHECK(said.err.empty());
    CHECK(said.out.find("GFLOP") == said.out.rfind("GFLOP"));  // rank 0 alone prints
    CHECK(worst_difference(manifest_of(tiny.folder("one"), 10), manifest_of(tiny.folder(name), 10)) < 1e-4);
    run_well(kProgram, on_gpus(tiny, name + ".again", ranks, kTen));
    CHECK(same_tensors(manifest_of(tiny.folder(name), 10), manifest_of(tiny.folder(name + ".again"), 10)));
  }
}

TEST_CASE("gpus: what cannot be is one line") {
  if (skipped()) return;
  const Variable gpus("PSANET_EMULATED_GPUS", "2");
  const TinyRun tiny;
  struct Case {
    std::vector<std::string> arguments;
    int exit_code;
    const char* says;
  };
  const Case cases[] = {
      {{"--gpus", "3"}, 5, "--gpus 3: this machine has 2"},
      {{"--gpus", "2", "--ranks", "2"}, 2, "--gpus 2: found --ranks 2 too, want one of the two"},
      {{"--gpus", "2", "--device", "cpu"}, 2, "--gpus 2: found --device cpu too, want one of the two"},
      {{"--ranks", "2", "--device", "cuda:1"}, 2, "--device cuda:1: found with 2 ranks, want cuda"},
  };
  for (const Case& c : cases) {
    const ProgramResult result = run_program(kProgram, tiny.arguments("run", c.arguments));
    INFO(result.err);
    CHECK(result.exit_code == c.exit_code);
    CHECK(result.err.find(c.says) != std::string::npos);
    CHECK_FALSE(fs::exists(tiny.folder("run")));
  }
  const ProgramResult none = run_program("psanet-train", tiny.arguments("run", {"--gpus", "2"}));
  if (!Device::has_gpu()) CHECK(none.exit_code == 5);
}

TEST_CASE("gpus: ranks on processors and on GPUs do not mix") {
  if (skipped()) return;
  const TinyRun tiny;
  const Variable world("WORLD_SIZE", "2"), port("MASTER_PORT", std::to_string(20000 + ::getpid() % 20000));
  std::vector<std::unique_ptr<Running>> ranks;
  for (const char* rank : {"0", "1"}) {
    const Variable own("RANK", rank);
    ranks.push_back(
        std::make_unique<Running>(kProgram, tiny.arguments("run", {"--device", *rank == '0' ? "cpu" : "cuda"})));
  }
  for (auto& rank : ranks) {
    const ProgramResult result = rank->wait();
    INFO(result.err);
    CHECK(result.exit_code == 5);
    CHECK(result.err.find("but 1 of the 2 ranks have a GPU: want all or none (--device)") != std::string::npos);
  }
}

TEST_CASE("gpus: a timeline shows nodes and collectives of a step") {
  if (skipped()) return;
  const Variable gpus("PSANET_EMULATED_GPUS", "2");
  const TinyRun tiny;
  const std::string file = tiny.folder("timeline.json");
  std::vector<std::string> arguments = on_gpus(tiny, "run", 2, kTen);
  arguments.insert(arguments.begin() + 1, {"--timeline", file});
  const ProgramResult said = run_well(kProgram, arguments);
  CHECK(said.out.find("iteration 3: nodes ") != std::string::npos);
  const auto trace = nlohmann::json::parse(file_bytes(file));
  std::set<std::string> nodes, collectives;
  for (const auto& event : trace.at("traceEvents")) {
    if (event.at("ph") == "X") (event.at("tid") == 0 ? nodes : collectives).insert(event.at("name"));
  }
  CHECK(nodes.count("gradients.0") == 1);
  CHECK(nodes.count("sgd") == 1);
  CHECK(collectives == std::set<std::string>{"norm.statistics.all_ranks", "loss.main.sum.all_reduce",
                                             "norm.d_x.all_reduce", "gradients.0"});
}

TEST_CASE("gpus: accumulated updates and bf16 train what one trains") {
  if (skipped()) return;
  const Variable gpus("PSANET_EMULATED_GPUS", "2");
  const TinyRun tiny;
  for (const char* setting : {"accumulate=2", "precision=\"bf16\""}) {
    std::vector<std::string> settings = kTen;
    settings.push_back(setting);
    const std::string name = std::string(setting).substr(0, 4);
    run_well(kProgram, on_gpus(tiny, name + ".one", 1, settings));
    run_well(kProgram, on_gpus(tiny, name + ".two", 2, settings));
    INFO(setting);
    const double worst =
        worst_difference(manifest_of(tiny.folder(name + ".one"), 10), manifest_of(tiny.folder(name + ".two"), 10));
    // bf16 rounds sums of gradients that differ in their last bits to neighbours 2^-8 apart.
    CHECK(worst < (name == "prec" ? 2e-2 : 1e-4));
  }
}

TEST_CASE("gpus: a run goes on where it was stopped to the bit") {
  if (skipped()) return;
  const Variable gpus("PSANET_EMULATED_GPUS", "2");
  const TinyRun tiny;
  run_well(kProgram, on_gpus(tiny, "whole", 2, kTen));
  std::vector<std::string> first = on_gpus(tiny, "halves", 2, kTen), second = first;
  first.insert(first.begin() + 1, {"--stop-after", "4"});
  second.insert(second.begin() + 1, {"--resume", "auto"});
  run_well(kProgram, first);
  run_well(kProgram, second);
  CHECK(same_tensors(manifest_of(tiny.folder("whole"), 10), manifest_of(tiny.folder("halves"), 10)));
}

const std::vector<std::string> kEndless = {"iterations=10000000", "save_every=10000000"};

TEST_CASE("gpus: a rank that is killed or stands still ends the others") {
  if (skipped()) return;
  const Variable gpus("PSANET_EMULATED_GPUS", "2");
  const TinyRun tiny;
  constexpr int kLimit_seconds = 4;
  for (const int signal : {SIGKILL, SIGSTOP}) {
    for (const size_t victim : {size_t{0}, size_t{1}}) {
      const std::string name = std::to_string(signal) + "." + std::to_string(victim);
      Running run(kProgram, on_gpus(tiny, name, 2, kEndless, std::to_string(kLimit_seconds)));
      REQUIRE(run.wait_until_said("GFLOP"));
      const std::vector<int> ranks = children_of(run.process());
      REQUIRE(ranks.size() == 2);
      ::usleep(200'000);
      const auto start = steady_clock::now();
      ::kill(ranks[victim], signal);
      const ProgramResult result = run.wait();
      const double seconds = std::chrono::duration<double>(steady_clock::now() - start).count();
      INFO("signal " << signal << " to rank " << victim << ", " << seconds << " s, said: " << result.err);
      CHECK(result.exit_code == (signal == SIGKILL ? 128 + SIGKILL : 5));
      CHECK(seconds < kLimit_seconds + 5);
      const std::regex who("rank \\d of 2, step \\d+: \\w+ \"[^\"]+\": ");
      CHECK(std::regex_search(result.err, who));
    }
  }
}

TEST_CASE("gpus: a rank that stands still for seven seconds harms nothing") {
  if (skipped()) return;
  const Variable gpus("PSANET_EMULATED_GPUS", "2");
  check_that_a_pause_harms_nothing(kProgram, {"--device", "cuda"});
}

TEST_CASE("gpus: a rank that fails ends the other within ten seconds and is named") {
  if (skipped()) return;
  const Variable gpus("PSANET_EMULATED_GPUS", "2");
  check_that_a_failure_ends_the_other(kProgram, {"--device", "cuda"});

  // Of rank 1 alone: rank 0 waits in its collective, and NCCL says nothing of it.
  const TinyRun tiny;
  std::vector<std::string> arguments = {"--device", "cuda", "--collective-limit", "600", "--set"};
  arguments.insert(arguments.end(), kEndless.begin(), kEndless.end());
  const std::pair<const char*, const char*> cases[] = {
      {"all_gather 3: error",
       "rank 0 of 2, step \\d: all_.*: rank 1 has failed: NCCL: rank 1 of 2, step 3: all_gather"},
      {"all_gather 3: error; abort: hang",
       "rank 0 of 2, step \\d: all_.*: rank 1 has failed: NCCL: rank 1 of 2, step 3: all_gather"},
      {"init: error", "making the communicator: rank 1 has failed: NCCL: rank 1 of 2: making the communicator"}};
  int number = 0;
  for (const auto& [script, says] : cases) {
    const auto same = tiny.arguments("run" + std::to_string(++number), arguments);
    const auto start = steady_clock::now();
    const TwoRanks ranks = two_by_hand(kProgram, same, same, {{"PSANET_NCCL_STUB_SCRIPT", script}});
    const ProgramResult other = ranks[0]->wait();
    const double seconds = std::chrono::duration<double>(steady_clock::now() - start).count();
    INFO(script << ": " << seconds << " s, rank 0 said: " << other.err);
    CHECK(other.exit_code == 5);
    CHECK(seconds < 10);  // a rank that cannot be aborted ends ten seconds after its failure
    CHECK(std::regex_search(other.err, std::regex(says)));
  }
}

TEST_CASE("gpus: what goes wrong in NCCL ends all ranks with a line that names the collective") {
  if (skipped()) return;
  const Variable gpus("PSANET_EMULATED_GPUS", "2");
  struct Case {
    const char *script, *says;
    int exit_code;
  };
  const Case cases[] = {
      {"all_gather 3: error", "NCCL: rank \\d of 2, step 3: all_gather \"[^\"]+\": unhandled system error", 5},
      {"all_gather 3: hang", "NCCL: rank \\d of 2, step 3: all_gather \"[^\"]+\": not finished within 2 s", 5},
      {"async error after 9", "NCCL: rank \\d of 2, step \\d: all_\\w+ \"[^\"]+\": remote process exited", 5},
      {"all_gather 3: hang; abort: hang", "the process ends \\(exit code 8\\)", 8},
      {"init: error", "NCCL: rank \\d of 2: making the communicator: unhandled system error", 5},
  };
  const TinyRun tiny;
  int number = 0;
  for (const Case& c : cases) {
    const Variable script("PSANET_NCCL_STUB_SCRIPT", c.script);
    const ProgramResult result =
        run_program(kProgram, on_gpus(tiny, "wrong" + std::to_string(++number), 2, kEndless, "2"));
    INFO(c.script << ": exit code " << result.exit_code << ", said: " << result.err);
    CHECK(result.exit_code == c.exit_code);
    CHECK(std::regex_search(result.err, std::regex(c.says)));
  }
}

}  // namespace
}  // namespace psanet::tests
