// Going on: exactly, from the newest whole checkpoint, and only with the run that it belongs to.
#include <fstream>
#include <nlohmann/json.hpp>

#include "apps/loss_watch.h"
#include "apps/run_checkpoints.h"
#include "apps/run_log.h"
#include "engine/error.h"
#include "models/checkpoint_store.h"
#include "tests/apps/tiny_run.h"
#include "tests/support/catch.h"

namespace psanet::tests {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

using Words = std::vector<std::string>;

Words with(Words a, const Words& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

std::vector<json> log_of(const fs::path& run) {
  std::vector<json> entries;
  std::ifstream in(run / "metrics.jsonl");
  for (std::string line; std::getline(in, line);) entries.push_back(json::parse(line));
  return entries;
}

TEST_CASE("2k iterations equal k and resume and k bit for bit with any number of loader threads") {
  const TinyRun tiny;
  const Words settings = {"--set", "val_split=val", "evaluation.every=5"};
  run_well("psanet-train", tiny.arguments("whole", settings));
  for (const char* workers : {"workers=0", "workers=3"}) {
    const std::string name = workers;
    run_well("psanet-train", tiny.arguments(name, with(settings, {workers, "--stop-after", "20"})));
    run_well("psanet-train", tiny.arguments(name, with(settings, {"workers=2", "cache_mb=0", "--resume"})));
    for (int64_t i : {1, 19, 20, 21, 40}) {
      INFO(name << ", iteration " << i);
      CHECK(same_tensors(manifest_of(tiny.folder(name), i), manifest_of(tiny.folder("whole"), i)));
    }
    // The log says the same, but for times.
    const std::vector<json> log = log_of(tiny.folder(name)), whole = log_of(tiny.folder("whole"));
    REQUIRE(log.size() == whole.size());
    for (size_t i = 0; i < log.size(); ++i) {
      for (const char* key : {"iteration", "loss", "lr", "mIoU_val", "allAcc_val"}) {
        CHECK(log[i].value(key, -1.0) == whole[i].value(key, -1.0));
      }
    }
    CHECK(file_bytes(tiny.folder(name) / "best.safetensors") == file_bytes(tiny.folder("whole") / "best.safetensors"));
  }
  run_well("psanet-train", tiny.arguments("again", settings));
  CHECK(file_bytes(tiny.folder("again") / "weights.safetensors") ==
        file_bytes(tiny.folder("whole") / "weights.safetensors"));
}

TEST_CASE("resume takes the newest whole checkpoint and says what it passed over") {
  const TinyRun tiny;
  run_well("psanet-train", tiny.arguments("run", {"--stop-after", "12"}));
  const fs::path checkpoints = tiny.folder("run") / "checkpoints";
  for (const auto& entry : fs::directory_iterator(checkpoints)) {
    const std::string name = entry.path().filename();
    if (name.rfind("000000012-", 0) == 0) fs::resize_file(entry.path(), 100);
    if (name == "000000011.json") std::ofstream(entry.path()) << "{";
  }
  const ProgramResult resumed = run_well("psanet-train", tiny.arguments("run", {"--resume", "auto"}));
  CHECK(resumed.out.find("going on at iteration 10") != std::string::npos);
  CHECK(resumed.err.find("passed over: ") != std::string::npos);
  CHECK(resumed.err.find("000000012-") != std::string::npos);
  CHECK(resumed.err.find("000000011.json: is no whole manifest") != std::string::npos);
  run_well("psanet-train", tiny.arguments("whole"));
  CHECK(same_tensors(manifest_of(tiny.folder("run"), 40), manifest_of(tiny.folder("whole"), 40)));

  const ProgramResult meant = run_well("psanet-train", {"--resume", tiny.folder("run"), "--threads", "1"});
  CHECK(meant.out.find("going on at iteration 40") != std::string::npos);

  // From an older one, by number; what is behind it goes.
  const ProgramResult back = run_well("psanet-train", tiny.arguments("run", {"--resume", "7", "--stop-after", "9"}));
  CHECK(back.out.find("going on at iteration 7") != std::string::npos);
  CHECK(newest_of(tiny.folder("run")) == 9);

  const auto error_of = [&](const Words& more, int code) {
    const ProgramResult result = run_program("psanet-train", tiny.arguments("run", more));
    INFO("it said: " << result.err);
    CHECK(result.exit_code == code);
    return result.err;
  };
  CHECK(error_of({"--resume", "8000"}, 4).find("no checkpoint of iteration 8000; there are 1, 2,") !=
        std::string::npos);
  CHECK(error_of({"--resume", "later"}, 2).find("found \"later\", want nothing, auto or an iteration") !=
        std::string::npos);
  for (const auto& entry : fs::directory_iterator(checkpoints)) {
    if (entry.path().extension() == ".safetensors") fs::resize_file(entry.path(), 1);
  }
  CHECK(error_of({"--resume", "auto"}, 4).find("holds no whole checkpoint") != std::string::npos);
  fs::remove_all(tiny.folder("run"));
  CHECK(error_of({"--resume"}, 4).find("holds no checkpoint") != std::string::npos);
  run_well("psanet-train",
           tiny.arguments("run", {"--resume", "auto", "--stop-after", "1"}));  // there is none: a new run
}

TEST_CASE("resume refuses another recipe and another network and another data set by the name of the difference") {
  const TinyRun tiny;
  run_well("psanet-train", tiny.arguments("run", {"--stop-after", "2"}));
  const auto refused = [&](const Words& more, const Words& words) {
    const ProgramResult result = run_program("psanet-train", tiny.arguments("run", with(more, {"--resume"})));
    INFO("it said: " << result.err);
    CHECK(result.exit_code == 2);
    CHECK(std::count(result.err.begin(), result.err.end(), '\n') == 1);
    CHECK(result.err.find("--weights") != std::string::npos);
    for (const std::string& word : words) {
      CAPTURE(word);
      CHECK(result.err.find(word) != std::string::npos);
    }
  };
  refused({"--set", "base_rate=0.5", "batch=4"}, {"recipe.base_rate: was 0.01, is 0.5", "recipe.batch: was 2, is 4"});
  refused({"--set", "augmentation.scale_min=0.75"}, {"recipe.augmentation.scale_min: was 0.5, is 0.75"});
  refused({"--set", "iterations=41"}, {"recipe.iterations: was 40, is 41"});
  refused({"--set", "let.width=16"}, {"let.width", "16"});
  refused({"--weights", tiny.folder("run") / "weights.safetensors"}, {"recipe.weights: was \"\""});

  // The same recipe, but the model's file was changed.
  const std::string model = file_bytes(tiny.model());
  const auto change = [&](const std::string& from, const std::string& to) {
    std::string text = model;
    REQUIRE(text.find(from) != std::string::npos);
    std::ofstream(tiny.model()) << text.replace(text.find(from), from.size(), to);
  };
  change("\"probability\": 0.2", "\"probability\": 0.3");
  refused({}, {"graph.drop.factors", "\\\"probability\\\":0.2", "\\\"probability\\\":0.3"});
  change("\"width\": 8", "\"width\": 12");
  refused({}, {"parameter \"layer0.weight\": was [8,3,3,3], is [12,3,3,3]"});
  std::ofstream(tiny.model()) << model;

  // Another class, another list.
  const fs::path root = tiny.folder("data");
  fs::copy(tiny_scenes(), root, fs::copy_options::recursive);
  const std::string moved = "data_root=\"" + root.string() + "\"";
  run_well("psanet-train",
           tiny.arguments("run", {"--set", moved, "--resume", "--stop-after", "3"}));  // that may change
  std::string list = file_bytes(root / "lists" / "train.txt");
  std::ofstream(root / "lists" / "train.txt") << list.substr(list.find('\n') + 1);
  refused({"--set", moved}, {"dataset.train_samples: was 8, is 7", "dataset.train_sample_names_crc32c"});

  // What has no influence on the result may change.
  const ProgramResult resumed =
      run_well("psanet-train", tiny.arguments("run", {"--resume", "--stop-after", "4", "--set", "workers=0",
                                                      "cache_mb=1", "save_every=3", "keep_last=1", "save_best=\"\"",
                                                      "about=\"mine\"", "evaluation.every=7", "evaluation.batch=3"}));
  CHECK(resumed.err.empty());
}

TEST_CASE("a second process does not train in the folder of the first") {
  const TinyRun tiny;
  Running first("psanet-train", tiny.arguments("run", {"--set", "iterations=1000000", "keep_last=1"}));
  while (!fs::exists(tiny.folder("run") / "metrics.jsonl")) usleep(1000);
  const ProgramResult second = run_program(
      "psanet-train", tiny.arguments("run", {"--resume", "auto", "--set", "iterations=1000000", "keep_last=1"}));
  INFO("it said: " << second.err);
  CHECK(second.exit_code == 2);
  CHECK(second.err.find("another process is training in this folder") != std::string::npos);
}

TEST_CASE("the best score decides which checkpoint stays") {
  const TinyRun tiny;
  const Words settings = {"--set", "val_split=val", "evaluation.every=4", "save_every=100", "keep_last=1"};
  run_well("psanet-train", tiny.arguments("run", with(settings, {"save_best=allAcc_val"})));
  double best = -1;
  int64_t best_at = 0;
  for (const json& entry : log_of(tiny.folder("run"))) {
    if (entry.contains("allAcc_val") && entry["allAcc_val"].get<double>() > best) {
      best = entry["allAcc_val"].get<double>();
      best_at = entry["iteration"].get<int64_t>();
    }
  }
  const models::CheckpointStore store(tiny.folder("run") / "checkpoints", {});
  CHECK(*store.best("allAcc_val") == std::pair<int64_t, double>(best_at, best));
  CHECK(store.iterations().back() == 40);
  CHECK(store.iterations().size() == (best_at == 40 ? 1 : 2));
  const ProgramResult wrong = run_program("psanet-train", tiny.arguments("x", with(settings, {"save_best=mIoU"})));
  CHECK(wrong.exit_code == 2);
  CHECK(wrong.err.find("save_best: found \"mIoU\", want one of mIoU_val, mAcc_val, allAcc_val") != std::string::npos);
}

TEST_CASE("a loss that is not finite three times in a row ends the run and names where and keeps the good checkpoint") {
  const TinyRun tiny;
  const Words settings = {"--set", "save_every=2"};
  run_well("psanet-train", tiny.arguments("run", with(settings, {"--stop-after", "4"})));
  // A weight that overflows: written into a checkpoint that is whole.
  models::CheckpointStore store(tiny.folder("run") / "checkpoints", {1000, ""});
  models::Checkpoint c = *store.newest([](const std::string& why) { FAIL(why); });
  const std::vector<float> weight(8 * 3 * 3 * 3, 3e38f);
  c.tensors.tensors["layer0.weight"] = FileTensor::of({8, 3, 3, 3}, std::span<const float>(weight));
  store.save(c);
  const ProgramResult result = run_program("psanet-train", tiny.arguments("run", with(settings, {"--resume"})));
  INFO("it said: " << result.err);
  CHECK(result.exit_code == 7);
  CHECK(result.err.find("warning: the loss of iteration 4 is") != std::string::npos);
  CHECK(result.err.find("the losses of iterations 4 to 6 are not finite: the first non-finite value is in layer0;") !=
        std::string::npos);
  CHECK(result.err.find("the newest checkpoint is of iteration 4") != std::string::npos);
  CHECK(newest_of(tiny.folder("run")) == 4);  // a save was due after 6
}

TEST_CASE("losses are watched for three in a row that are not finite") {
  apps::LossWatch watch;
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (int i = 0; i < 5; ++i) {
    CHECK(watch.see(1));
    CHECK(watch.good());
    CHECK(watch.see(nan));
    CHECK_FALSE(watch.good());
    CHECK(watch.see(std::numeric_limits<float>::infinity()));
  }
  CHECK_FALSE(watch.see(nan));
  CHECK(watch.in_a_row() == 3);
}

TEST_CASE("a state that is not finite is not saved") {
  const TemporaryFolder folder;
  Device device = Device::cpu(1);
  Graph graph;
  graph.parameter("w", f32({2}), Initializer::constant(1));
  Parameters parameters(device);
  parameters.add(graph, 1);
  std::string said;
  apps::RunCheckpoints::Options options;
  options.run_folder = folder.path();
  options.state = [](int64_t) { return nlohmann::ordered_json::object(); };
  options.say = [&](const std::string& line) { said += line + "\n"; };
  apps::RunCheckpoints checkpoints(options);
  CHECK(checkpoints.try_save(parameters, 1, "later"));
  Tensor w = parameters.tensor("w");
  w.set(std::vector<float>{1, std::numeric_limits<float>::infinity()});
  CHECK_FALSE(checkpoints.try_save(parameters, 2, "later"));
  CHECK(said == "warning: iteration 2 is not saved: w is not finite\n");
  CHECK(checkpoints.newest() == 1);
  CHECK(newest_of(folder.path()) == 1);
}

TEST_CASE("the log of a resumed run loses what will be logged again") {
  const std::string log =
      "{\"iteration\":10,\"loss\":1}\n{\"iteration\":20,\"loss\":2}\n{\"iteration\":20,\"mIoU_val\":0.5}\n"
      "{\"iteration\":30,\"loss\":3}\n{\"iteration\":40,\"lo";
  CHECK(apps::log_until(log, 20, true) ==
        "{\"iteration\":10,\"loss\":1}\n{\"iteration\":20,\"loss\":2}\n{\"iteration\":20,\"mIoU_val\":0.5}\n");
  CHECK(apps::log_until(log, 20, false) == "{\"iteration\":10,\"loss\":1}\n{\"iteration\":20,\"loss\":2}\n");
  CHECK(apps::log_until(log, 100, false).find("\"lo\n") == std::string::npos);
  CHECK(apps::log_until("", 5, true).empty());
}

}  // namespace
}  // namespace psanet::tests
