// kill -9 at any time, a disk that fills up, signals: nothing lost, nothing different afterwards.
#include <csignal>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>

#include "engine/distributed/gloo_communicator.h"
#include "models/checkpoint_store.h"
#include "tests/apps/tiny_run.h"
#include "tests/support/catch.h"

namespace psanet::tests {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kIterations = 40;

TEST_CASE("killed a hundred times at random a third of them inside a save: no checkpoint lost and none diverges") {
  const TinyRun tiny;
  run_well("training_with_faults", tiny.arguments("whole"));
  REQUIRE(newest_of(tiny.folder("whole")) == kIterations);

  std::mt19937 random(20261125);
  const auto uniform = [&](int low, int high) { return std::uniform_int_distribution<int>(low, high)(random); };
  int kills = 0, kills_in_saves = 0, resumes = 0, finished = 0, diverged = 0;
  int64_t before = -1;
  for (int trial = 0; kills < 100; ++trial) {
    REQUIRE(trial < 1000);
    // The first save of a new process: about 30 operations; what a whole run makes: some 1000.
    const bool in_save = kills % 3 == 0;
    std::vector<std::string> more = {"--resume", "auto", "--set", "keep_last=2"};
    if (in_save) more.insert(more.end(), {"--kill-at", std::to_string(uniform(3, 150))});
    Running run("training_with_faults", tiny.arguments("killed", more));
    if (!in_save) {
      if (uniform(0, 3) > 0) run.wait_until_said("GFLOP");  // else: somewhere in its start
      usleep(static_cast<useconds_t>(uniform(0, 150'000)));
      run.send(SIGKILL);
    }
    const ProgramResult result = run.wait();
    INFO("trial " << trial << " said: " << result.out << result.err);
    REQUIRE((result.exit_code == 0 || result.exit_code == 128 + SIGKILL));
    kills += result.exit_code != 0;
    kills_in_saves += result.exit_code != 0 && in_save;
    resumes += result.out.find("going on at iteration") != std::string::npos;

    const int64_t newest = newest_of(tiny.folder("killed"));
    CHECK(newest >= before);  // never less than there was
    if (newest > 0) {
      diverged += !same_tensors(manifest_of(tiny.folder("killed"), newest), manifest_of(tiny.folder("whole"), newest));
    }
    before = newest;
    if (result.exit_code == 0) {
      REQUIRE(newest == kIterations);
      ++finished;
      fs::remove_all(tiny.folder("killed"));
      before = -1;
    }
  }
  CHECK(diverged == 0);
  CHECK(kills_in_saves >= 30);
  CHECK(resumes >= 50);
  CHECK(finished >= 1);
}

TEST_CASE("a disk that is full at any operation of a save: a line and training goes on and the next save works") {
  const TinyRun tiny;
  const std::vector<std::string> settings = {"--set", "iterations=6", "save_every=2", "keep_last=1"};
  run_well("training_with_faults", tiny.arguments("whole", settings));
  int tried = 0;
  for (int64_t at = 0; at < 80; ++at) {  // the first two of three saves; the last one must succeed
    const std::string name = "full" + std::to_string(at);
    std::vector<std::string> more = settings;
    more.insert(more.end(), {"--fail-at", std::to_string(at)});
    const ProgramResult result = run_program("training_with_faults", tiny.arguments(name, more));
    INFO("operation " << at << " said: " << result.err);
    const bool was_last = result.exit_code == 6;  // the final save: nobody is left to try again
    REQUIRE((result.exit_code == 0 || was_last));
    CHECK(std::count(result.err.begin(), result.err.end(), '\n') == 1);
    CHECK(result.err.find("No space left on device") != std::string::npos);
    if (was_last) {
      REQUIRE(tried > 40);
      CHECK(newest_of(tiny.folder(name)) >= 4);
      break;
    }
    CHECK(result.err.find("training goes on, the next save is tried at iteration") != std::string::npos);
    CHECK(same_tensors(manifest_of(tiny.folder(name), 6), manifest_of(tiny.folder("whole"), 6)));
    ++tried;
  }
  CHECK(tried > 40);

  // Full for good: the save at the end fails, and says so with the documented code; the first checkpoint is whole.
  std::vector<std::string> more = settings;
  more.insert(more.end(), {"--fail-at", "40", "--fail-count", "100000"});
  const ProgramResult full = run_program("training_with_faults", tiny.arguments("full", more));
  CHECK(full.exit_code == 6);
  CHECK(full.err.find("No space left on device") != std::string::npos);
  CHECK(newest_of(tiny.folder("full")) == 2);
}

TEST_CASE("a signal: the step is finished and saved and the exit code is 75 and the resumed run equals a whole one") {
  const TinyRun tiny;
  const std::vector<std::string> settings = {"--set", "iterations=2000", "save_every=100000", "keep_last=1"};
  for (const int signal : {SIGTERM, SIGINT, SIGUSR1}) {
    const std::string name = "run" + std::to_string(signal);
    Running run("psanet-train", tiny.arguments(name, settings));
    REQUIRE(run.wait_until_said("GFLOP"));
    while (file_bytes(tiny.folder(name) / "metrics.jsonl").empty()) usleep(1000);
    run.send(signal);
    const ProgramResult result = run.wait();
    INFO("it said: " << result.out << result.err);
    CHECK(result.exit_code == 75);
    CHECK(result.out.find("stopped by SIG") != std::string::npos);
    CHECK(result.out.find("saved; --resume goes on") != std::string::npos);
    const int64_t stopped = newest_of(tiny.folder(name));
    CHECK(stopped > 0);
    CHECK(stopped < 2000);

    // To where it would have come without the signal.
    const std::string end = std::to_string(stopped + 3);
    std::vector<std::string> more = settings;
    more.insert(more.end(), {"--stop-after", end, "--resume"});
    run_well("psanet-train", tiny.arguments(name, more));
    more.pop_back();
    run_well("psanet-train", tiny.arguments(name + "whole", more));
    CHECK(same_tensors(manifest_of(tiny.folder(name), stopped + 3),
                       manifest_of(tiny.folder(name + "whole"), stopped + 3)));
  }
}

TEST_CASE("a signal in an evaluation ends it and the resumed run makes it anew") {
  const TinyRun tiny;
  const std::vector<std::string> settings = {"--set", "val_split=val", "evaluation.every=20",
                                             "evaluation.scales=[6,6,6]", "evaluation.batch=8"};
  run_well("psanet-train", tiny.arguments("whole", settings));
  Running run("psanet-train", tiny.arguments("run", settings));
  while (!fs::exists(manifest_of(tiny.folder("run"), 20)) && !run.has_said("mIoU")) usleep(200);
  run.send(SIGTERM);
  const ProgramResult result = run.wait();
  INFO("it said: " << result.out << result.err);
  CHECK(result.exit_code == 75);
  CHECK(newest_of(tiny.folder("run")) >= 20);
  std::vector<std::string> more = settings;
  more.push_back("--resume");
  run_well("psanet-train", tiny.arguments("run", more));
  for (int64_t i : {20, 40}) {
    const auto scores = [&](const char* name) {
      return models::read_checkpoint(manifest_of(tiny.folder(name), i)).metrics;
    };
    CHECK(scores("run").size() == 3);
    CHECK(scores("run") == scores("whole"));
  }
  CHECK(same_tensors(manifest_of(tiny.folder("run"), 40), manifest_of(tiny.folder("whole"), 40)));
}

TEST_CASE("two ranks: 2k iterations equal k and resume and k bit for bit") {
  if (!has_gloo()) {
    WARN("SKIPPED: built without Gloo");
    return;
  }
  const TinyRun tiny;
  const std::vector<std::string> two = {"--ranks", "2"}, half = {"--ranks", "2", "--stop-after", "20"},
                                 on = {"--ranks", "2", "--resume"};
  run_well("psanet-train", tiny.arguments("whole", two));
  run_well("psanet-train", tiny.arguments("halves", half));
  run_well("psanet-train", tiny.arguments("halves", on));
  for (int64_t i : {20, 21, 40}) {
    CHECK(same_tensors(manifest_of(tiny.folder("halves"), i), manifest_of(tiny.folder("whole"), i)));
  }
}

TEST_CASE("help names the exit code of a stopped run") {
  CHECK(run_well("psanet-train", {"--help"}).out.find("75 stopped by a signal") != std::string::npos);
}

TEST_CASE("a signal that comes twice is one request and a later one ends a run at once") {
  const TinyRun tiny;
  // A step of seconds: the first signal waits for it, the last does not.
  Running run("psanet-train", tiny.arguments("run", {"--set", "iterations=1000", "batch=8", "let.crop_h=1025",
                                                     "let.crop_w=1025", "let.width=256"}));
  REQUIRE(run.wait_until_said("GFLOP"));
  while (!fs::exists(tiny.folder("run") / "metrics.jsonl")) usleep(1000);
  usleep(100'000);
  run.send(SIGTERM);
  for (const int signal : {SIGTERM, SIGUSR1}) {
    usleep(100'000);
    run.send(signal);
  }
  usleep(1'000'000);
  run.send(SIGINT);
  const ProgramResult result = run.wait();
  CHECK(result.exit_code == 128 + SIGINT);
}

TEST_CASE("a signal that comes twice saves") {
  const TinyRun tiny;
  Running run("psanet-train", tiny.arguments("run", {"--set", "iterations=1000", "batch=8", "let.crop_h=257",
                                                     "let.crop_w=257", "let.width=256", "save_every=1000"}));
  REQUIRE(run.wait_until_said("GFLOP"));
  while (file_bytes(tiny.folder("run") / "metrics.jsonl").empty()) usleep(1000);
  run.send(SIGTERM);
  usleep(2000);
  run.send(SIGTERM);
  CHECK(run.wait().exit_code == 75);
  CHECK(newest_of(tiny.folder("run")) > 0);
}

}  // namespace
}  // namespace psanet::tests
