// psanet-train --ranks N: the same training, and an end when one of the ranks ends.
#include <chrono>
#include <cmath>
#include <csignal>
#include <fstream>
#include <random>
#include <regex>
#include <sstream>

#include "engine/distributed/gloo_communicator.h"
#include "models/checkpoint.h"
#include "tests/apps/tiny_run.h"
#include "tests/distributed/by_hand.h"
#include "tests/support/catch.h"

namespace psanet::tests {
namespace {

namespace fs = std::filesystem;
using std::chrono::steady_clock;

bool skipped() {
  if (!has_gloo()) WARN("SKIPPED: built without Gloo");
  return !has_gloo();
}

std::vector<std::string> endless(const TinyRun& tiny, const std::string& run, const std::string& limit_seconds) {
  return tiny.arguments(run, {"--ranks", "3", "--collective-limit", limit_seconds, "--set", "batch=3",
                              "iterations=10000000", "save_every=10000000"});
}

std::string long_list_of_scales() {
  std::string list = "[1.0";
  for (int i = 1; i < 30; ++i) list += "," + std::to_string(1.0 + 0.05 * i);
  return list + "]";
}

TEST_CASE("processes: two ranks train what one trains, and score and log the same") {
  if (skipped()) return;
  const TinyRun tiny;
  const std::vector<std::string> settings = {"--set", "val_split=val", "iterations=10", "evaluation.every=10"};
  std::vector<std::string> two = settings;
  two.insert(two.begin(), {"--ranks", "2"});
  run_well("psanet-train", tiny.arguments("one", settings));
  const ProgramResult said = run_well("psanet-train", tiny.arguments("two", two));
  CHECK(said.err.empty());
  CHECK(said.out.find("GFLOP") == said.out.rfind("GFLOP"));  // rank 0 alone prints

  const models::Checkpoint one = models::read_checkpoint(manifest_of(tiny.folder("one"), 10)),
                           both = models::read_checkpoint(manifest_of(tiny.folder("two"), 10));
  CHECK(worst_difference(manifest_of(tiny.folder("one"), 10), manifest_of(tiny.folder("two"), 10)) < 1e-4);
  REQUIRE(one.metrics.count("allAcc_val") == 1);
  CHECK(both.metrics.at("allAcc_val") == Approx(one.metrics.at("allAcc_val")).margin(0.02));
}

TEST_CASE("processes: a loss that is a mean of ranks does not go on with another number of them") {
  if (skipped()) return;
  const TinyRun tiny;
  const std::vector<std::string> settings = {"--set", "mean_of_ranks=true", "batch=4", "iterations=10"};
  std::vector<std::string> two = settings, three = settings;
  two.insert(two.begin(), {"--ranks", "2", "--stop-after", "4"});
  three.insert(three.begin(), {"--ranks", "3", "--resume"});
  run_well("psanet-train", tiny.arguments("run", two));
  const ProgramResult other = run_program("psanet-train", tiny.arguments("run", three));
  CHECK(other.exit_code == 2);
  CHECK(other.err.find("ranks_averaged: was 2, is 3") != std::string::npos);
  two.insert(two.begin(), "--resume");
  run_well("psanet-train", tiny.arguments("run", two));
}

TEST_CASE("processes: two and four ranks score and predict what one does") {
  if (skipped()) return;
  const TinyRun tiny;
  run_well("psanet-train", tiny.arguments("run", {"--set", "val_split=val", "iterations=10"}));
  const auto evaluate = [&](const std::string& folder, const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {tiny.folder("run"),   "--output",  tiny.folder(folder),
                                          "--save-predictions", "--threads", "1"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_well("psanet-eval", arguments);
  };
  evaluate("one", {});
  for (const std::string ranks : {"2", "4"}) {  // of four one has no image
    const ProgramResult said = evaluate(ranks, {"--ranks", ranks});
    CHECK(said.err.empty());
    CHECK(said.out.find("3 images in") == said.out.rfind("3 images in"));  // rank 0 alone prints
    for (const char* file : {"metrics.json", "classes.csv", "confusion.csv"}) {
      INFO(file);
      CHECK(file_bytes(tiny.folder("one") / file) == file_bytes(tiny.folder(ranks) / file));
    }
    int predictions = 0;
    for (const auto& entry : fs::directory_iterator(tiny.folder("one") / "predictions")) {
      CHECK(file_bytes(entry.path()) == file_bytes(tiny.folder(ranks) / "predictions" / entry.path().filename()));
      ++predictions;
    }
    CHECK(predictions == 3);
  }
}

TEST_CASE("processes: fewer images than ranks are one line") {
  if (skipped()) return;
  const TinyRun tiny;
  const ProgramResult odd = run_program("psanet-train", tiny.arguments("odd", {"--ranks", "3"}));
  CHECK(odd.exit_code == 2);
  CHECK(odd.err.find("batch: found 2, want at least one image for each of the 3 ranks") != std::string::npos);
}

TEST_CASE("processes: a signal to the launcher stops all ranks behind the same step with everything saved") {
  if (skipped()) return;
  const TinyRun tiny;
  Running run("psanet-train", endless(tiny, "run", "20"));
  REQUIRE(run.wait_until_said("GFLOP"));
  while (!fs::exists(tiny.folder("run") / "metrics.jsonl")) usleep(1000);
  usleep(100'000);
  run.send(SIGTERM);
  const ProgramResult result = run.wait();
  INFO("it said: " << result.out << result.err);
  CHECK(result.exit_code == 75);
  CHECK(newest_of(tiny.folder("run")) > 0);
}

TEST_CASE("processes: a signal to one rank stops all and an evaluation does not hold it up") {
  if (skipped()) return;
  const TinyRun tiny;
  Running run("psanet-train", endless(tiny, "run", "20"));
  REQUIRE(run.wait_until_said("GFLOP"));
  std::vector<int> ranks = children_of(run.process());
  REQUIRE(ranks.size() == 3);
  usleep(200'000);
  ::kill(ranks[2], SIGTERM);
  const ProgramResult result = run.wait();
  INFO("it said: " << result.out << result.err);
  CHECK(result.exit_code == 75);
  CHECK(result.out.find("stopped by a signal to another rank") != std::string::npos);

  // Three images at thirty scales take seconds each; rank 0 has two, rank 1 one.
  std::vector<std::string> slow =
      tiny.arguments("slow", {"--ranks", "2", "--collective-limit", "20", "--set", "iterations=10000000",
                              "save_every=2", "val_split=val", "evaluation.every=2", "evaluation.base_size=300",
                              "evaluation.scales=" + long_list_of_scales()});
  Running evaluating("psanet-train", slow);
  while (!fs::exists(manifest_of(tiny.folder("slow"), 2))) usleep(1000);  // what comes next is the evaluation
  usleep(100'000);
  ranks = children_of(evaluating.process());
  ::kill(ranks.at(1), SIGTERM);
  const ProgramResult ended = evaluating.wait();
  INFO("it said: " << ended.out << ended.err);
  CHECK(ended.exit_code == 75);
  CHECK(ended.out.find("after iteration 2, ") != std::string::npos);
  CHECK(ended.out.find(", val: mIoU") == std::string::npos);
}

TEST_CASE("processes: no rank ends behind a signal before everything is saved") {
  if (skipped()) return;
  const TinyRun tiny;
  const std::vector<std::string> large =
      tiny.arguments("run", {"--set", "let.width=100000", "batch=2", "let.crop_h=9", "let.crop_w=9",
                             "iterations=10000000", "save_every=10000000"});
  const TwoRanks ranks = two_by_hand("psanet-train", large, large);
  while (file_bytes(tiny.folder("run") / "metrics.jsonl").empty()) usleep(1000);
  ranks[1]->send(SIGTERM);
  CHECK(ranks[1]->wait().exit_code == 75);
  CHECK(newest_of(tiny.folder("run")) > 0);
  CHECK(ranks[0]->wait().exit_code == 75);
}

TEST_CASE("processes: ranks that would not train the same are one line") {
  if (skipped()) return;
  const TinyRun tiny;
  run_well("psanet-train", tiny.arguments("run", {"--set", "iterations=2"}));
  // Rank 0 here, rank 1 with another folder, recipe or file of weights.
  struct Case {
    std::vector<std::string> zero, one;
    const char* says;
  };
  const std::string weights = tiny.folder("run") / "weights.safetensors";
  const Case cases[] = {
      {{"--set", "seed=1"}, {"--set", "seed=2"}, "rank 1 trains something else than rank 0: recipe.seed: was 1, is 2"},
      {{"--resume", "auto", "--set", "iterations=2"},
       {"--resume", "auto", "--set", "iterations=2"},
       "rank 1 starts at iteration 0, rank 0 at 2: do both see the same run folder?"},
      {{"--set", "base_rate=0.01"}, {"--weights", weights}, "rank 1 starts from other parameters than rank 0"},
  };
  for (const Case& c : cases) {
    const bool resumes = c.zero[0] == "--resume";
    const TwoRanks ranks = two_by_hand("psanet-train", tiny.arguments(resumes ? "run" : "zero", c.zero),
                                       tiny.arguments(resumes ? "elsewhere" : "zero", c.one));
    const ProgramResult result = ranks[1]->wait();
    INFO("it said: " << result.out << result.err);
    CHECK(result.exit_code == 2);
    CHECK(result.err.find(c.says) != std::string::npos);
    const ProgramResult first = ranks[0]->wait();
    CHECK(first.exit_code == 2);
    CHECK(first.err.find("rank 0: 1 of 2 ranks differ from rank 0, and say in what") != std::string::npos);
  }
}

TEST_CASE("processes: twenty times a rank is killed and the others end and say who was first") {
  if (skipped()) return;
  const TinyRun tiny;
  std::mt19937 random(5);
  int with_step = 0;
  for (int trial = 0; trial < 20; ++trial) {
    const std::string name = "run" + std::to_string(trial);
    Running run("psanet-train", endless(tiny, name, "60"));
    REQUIRE(run.wait_until_said("GFLOP"));
    const std::vector<int> ranks = children_of(run.process());
    REQUIRE(ranks.size() == 3);
    usleep(static_cast<useconds_t>(random() % 100'000));
    const size_t victim = random() % 3;
    const auto start = steady_clock::now();
    ::kill(ranks[victim], SIGKILL);
    const ProgramResult result = run.wait();
    const double seconds = std::chrono::duration<double>(steady_clock::now() - start).count();
    INFO("trial " << trial << ": rank " << victim << ", " << seconds << " s, said: " << result.err);
    CHECK(result.exit_code == 128 + SIGKILL);
    CHECK(seconds < 10);
    const std::regex first("rank " + std::to_string(victim) + " was killed by signal 9 \\(Killed\\) first, " +
                           "(in step \\d+|before the first step); the run has ended");
    CHECK(std::regex_search(result.err, first));
    with_step += result.err.find(" first, in step ") != std::string::npos;
    const std::regex survivor("rank \\d of 3, step \\d+: \\w+ \"[^\"]+\": rank " + std::to_string(victim) + " is gone");
    CHECK(std::regex_search(result.err, survivor));
    for (int rank : ranks) CHECK_FALSE(runs(rank));
  }
  CHECK(with_step > 10);
}

TEST_CASE("processes: twenty times a rank stands still and the others end behind the time limit") {
  if (skipped()) return;
  constexpr double kLimit_seconds = 4;
  const TinyRun tiny;
  std::mt19937 random(6);
  constexpr int kAtOnce = 5;  // most of it is waiting
  for (int trial = 0; trial < 20; trial += kAtOnce) {
    std::vector<std::unique_ptr<Running>> running;
    std::vector<std::vector<int>> ranks;
    for (int i = 0; i < kAtOnce; ++i) {
      running.push_back(
          std::make_unique<Running>("psanet-train", endless(tiny, "run" + std::to_string(trial + i), "4")));
    }
    std::vector<steady_clock::time_point> stopped;
    for (auto& run : running) {
      REQUIRE(run->wait_until_said("GFLOP"));
      ranks.push_back(children_of(run->process()));
      REQUIRE(ranks.back().size() == 3);
      usleep(static_cast<useconds_t>(random() % 50'000));
      ::kill(ranks.back()[random() % 3], SIGSTOP);
      stopped.push_back(steady_clock::now());
    }
    for (size_t i = 0; i < running.size(); ++i) {
      const ProgramResult result = running[i]->wait();
      const double seconds = std::chrono::duration<double>(steady_clock::now() - stopped[i]).count();
      INFO("trial " << trial + static_cast<int>(i) << ": " << seconds << " s, said: " << result.err);
      CHECK(result.exit_code != 0);
      CHECK(seconds < kLimit_seconds + 5);
      const std::regex collective("rank \\d of 3, step \\d+: (all_reduce|all_gather) \"[^\"]+\": ");
      CHECK(std::regex_search(result.err, collective));
      for (int rank : ranks[i]) CHECK_FALSE(runs(rank));
    }
  }
}

TEST_CASE("processes: a rank that stands still for seven seconds harms nothing") {
  if (!skipped()) check_that_a_pause_harms_nothing("psanet-train", {});
}

TEST_CASE("processes: a rank that fails ends the other within ten seconds and is named") {
  if (!skipped()) check_that_a_failure_ends_the_other("psanet-train", {});
}

TEST_CASE("processes: a killed launcher takes its ranks along") {
  if (skipped()) return;
  const TinyRun tiny;
  Running run("psanet-train", endless(tiny, "run", "60"));
  REQUIRE(run.wait_until_said("GFLOP"));
  const std::vector<int> ranks = children_of(run.process());
  REQUIRE(ranks.size() == 3);
  run.send(SIGKILL);
  run.wait();
  const auto end = steady_clock::now() + std::chrono::seconds(10);
  const auto any = [&] { return runs(ranks[0]) || runs(ranks[1]) || runs(ranks[2]); };
  while (any() && steady_clock::now() < end) usleep(10'000);
  CHECK_FALSE(any());
}

}  // namespace
}  // namespace psanet::tests
