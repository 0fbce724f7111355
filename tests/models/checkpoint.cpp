// Checkpoints: what is written is read, what is damaged is never taken, what is kept, what belongs to which run.
#include "models/checkpoint.h"

#include <fmt/format.h>

#include <fstream>

#include "engine/crc32c.h"
#include "engine/error.h"
#include "models/checkpoint_fit.h"
#include "models/checkpoint_store.h"
#include "models/model_file.h"
#include "models/weights_file.h"
#include "tests/models/made_up_checkpoint.h"
#include "tests/support/catch.h"
#include "tests/support/temporary_folder.h"

namespace psanet::tests {
namespace {

namespace fs = std::filesystem;
using models::Checkpoint;
using models::CheckpointStore;
using nlohmann::ordered_json;

const auto nothing_skipped = [](const std::string& why) { FAIL("skipped: " << why); };

std::vector<std::string> skipped_by(const CheckpointStore& store, int64_t expected) {
  std::vector<std::string> skipped;
  const auto found = store.newest([&](const std::string& why) { skipped.push_back(why); });
  if (expected < 0) {
    CHECK_FALSE(found);
  } else {
    REQUIRE(found);
    CHECK(same(*found, made_up_checkpoint(expected)));
  }
  return skipped;
}

TEST_CASE("checkpoint: what is written is read and the newest is found") {
  const TemporaryFolder folder;
  CheckpointStore store(folder / "checkpoints", {});
  CHECK(store.empty());
  CHECK_FALSE(store.newest(nothing_skipped));
  store.save(made_up_checkpoint(9));
  store.save(made_up_checkpoint(1000));
  CHECK_FALSE(store.empty());
  CHECK(store.iterations() == std::vector<int64_t>{9, 1000});
  const auto found = store.newest(nothing_skipped);
  REQUIRE(found);
  CHECK(same(*found, made_up_checkpoint(1000)));
  CHECK(same(models::read_checkpoint(store.manifest(9)), made_up_checkpoint(9)));
}

TEST_CASE("checkpoint: the last ones and the best stay and nothing else does") {
  const TemporaryFolder folder;
  CheckpointStore store(folder / "c", {2, "mIoU_val"});
  const auto save = [&](int64_t iteration, double score) {
    Checkpoint c = made_up_checkpoint(iteration);
    c.metrics = {{"mIoU_val", score}, {"loss_val", 1 - score}};
    store.save(c);
  };
  save(10, 0.2);
  save(20, 0.5);
  save(30, 0.5);  // as good as 20: the first stays
  store.save(made_up_checkpoint(40));
  store.save(made_up_checkpoint(50));
  CHECK(store.iterations() == std::vector<int64_t>{20, 40, 50});
  CHECK(store.best("mIoU_val")->first == 20);
  CHECK(std::distance(fs::directory_iterator(store.folder()), fs::directory_iterator()) == 6);
  store.add_metrics(50, {{"mIoU_val", 0.625}});
  CHECK(*store.best("mIoU_val") == std::pair<int64_t, double>(50, 0.625));
  CHECK(store.best("mIoU_val", 49)->first == 20);
  CHECK_FALSE(store.best("allAcc_val"));
  store.save(made_up_checkpoint(60));
  store.save(made_up_checkpoint(70));
  CHECK(store.iterations() == std::vector<int64_t>{50, 60, 70});
  Checkpoint scored = made_up_checkpoint(50);
  scored.metrics = {{"mIoU_val", 0.625}};
  CHECK(same(models::read_checkpoint(store.manifest(50)), scored));

  // The run went back behind 60: what is later belongs to no run.
  store.save(made_up_checkpoint(55));
  CHECK(store.iterations() == std::vector<int64_t>{50, 55});

  CheckpointStore of_loss(folder / "l", {1, "loss_val"});
  for (const auto& [iteration, loss] : {std::pair<int64_t, double>{1, 3.0}, {2, 1.0}, {3, 2.0}}) {
    Checkpoint c = made_up_checkpoint(iteration);
    c.metrics = {{"loss_val", loss}, {"mIoU_val", std::nan("")}};
    of_loss.save(c);
  }
  CHECK(of_loss.iterations() == std::vector<int64_t>{2, 3});
  CHECK(models::read_checkpoint(of_loss.manifest(3)).metrics == std::map<std::string, double>{{"loss_val", 2.0}});
}

TEST_CASE("checkpoint: files of others in the folder stay") {
  const TemporaryFolder folder;
  CheckpointStore store(folder / "c", {1, ""});
  fs::create_directory(folder / "c");
  const std::vector<std::string> others = {"mine.safetensors", "notes.json", "12.safetensors", "best.tmp"};
  for (const std::string& name : others) std::ofstream(folder / "c" / name) << "x";
  for (int64_t i : {1, 2, 3}) store.save(made_up_checkpoint(i));
  for (const std::string& name : others) CHECK(fs::exists(folder / "c" / name));
  CHECK(store.iterations() == std::vector<int64_t>{3});
}

TEST_CASE("checkpoint: every flipped bit and every cut is found and the one before is taken") {
  const TemporaryFolder folder;
  CheckpointStore store(folder / "c", {});
  store.save(made_up_checkpoint(10));
  store.save(made_up_checkpoint(20));
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(store.folder())) {
    if (entry.path().filename().string().rfind("000000020", 0) == 0) files.push_back(entry.path());
  }
  REQUIRE(files.size() == 2);
  int64_t damages = 0;
  for (const fs::path& file : files) {
    std::ostringstream text;
    text << std::ifstream(file, std::ios::binary).rdbuf();
    const std::string good = text.str();
    const auto check = [&](const std::string& bytes) {
      std::ofstream(file, std::ios::binary) << bytes;
      std::vector<std::string> skipped;
      const auto found = store.newest([&](const std::string& why) { skipped.push_back(why); });
      ++damages;
      // A space in the JSON of either file may become another blank, and no more.
      if (found && same(*found, made_up_checkpoint(20))) return;
      REQUIRE(found);
      REQUIRE(same(*found, made_up_checkpoint(10)));
      REQUIRE(skipped.size() == 1);
      REQUIRE(skipped[0].find("000000020") != std::string::npos);
      REQUIRE(skipped[0].find('\n') == std::string::npos);
    };
    for (size_t at = 0; at < good.size(); ++at) {
      std::string bytes = good;
      bytes[at] = static_cast<char>(bytes[at] ^ (1 << (at % 7)));
      check(bytes);
    }
    for (size_t size = 0; size < good.size(); size += 5) check(good.substr(0, size));
    std::ofstream(file, std::ios::binary) << good;
  }
  CHECK(damages > 500);
  CHECK(skipped_by(store, 20).empty());
}

TEST_CASE("checkpoint: what is skipped is said with the reason") {
  const TemporaryFolder folder;
  CheckpointStore store(folder / "c", {5, ""});
  for (int64_t i : {10, 20, 30, 40}) store.save(made_up_checkpoint(i));
  const auto tensors_of = [&](int64_t iteration) {
    return store.folder() / models::read_manifest(store.manifest(iteration)).at("file").get<std::string>();
  };
  fs::resize_file(tensors_of(40), fs::file_size(tensors_of(40)) - 1);
  fs::remove(tensors_of(30));
  std::ofstream(store.manifest(20)) << "{\"crc32c\": ";
  std::ofstream(store.folder() / "000000050-00000000.safetensors") << "half";
  const std::vector<std::string> skipped = skipped_by(store, 10);
  REQUIRE(skipped.size() == 4);
  CHECK(skipped[0].find("cut short") != std::string::npos);
  CHECK(skipped[1].find("no such file") != std::string::npos);
  CHECK(skipped[2].find("000000020.json: is no whole manifest") != std::string::npos);
  CHECK(skipped[3].find("000000050-00000000.safetensors: left by a save that was cut short") != std::string::npos);

  store.save(made_up_checkpoint(11));  // the damaged ones were behind it
  CHECK(store.iterations() == std::vector<int64_t>{10, 11});
  CHECK(std::distance(fs::directory_iterator(store.folder()), fs::directory_iterator()) == 4);
}

TEST_CASE("checkpoint: a hostile manifest is one line") {
  const TemporaryFolder folder;
  CheckpointStore store(folder / "c", {5, ""});
  store.save(made_up_checkpoint(10));
  const fs::path file = store.manifest(10);
  const auto error_of = [&] {
    try {
      models::read_checkpoint(file);
    } catch (const WeightsError& e) {
      CHECK(std::string(e.what()).find('\n') == std::string::npos);
      return std::string(e.what());
    }
    return std::string("nothing was thrown");
  };
  const auto said = [&](const std::string& text) {
    std::ofstream(file) << text;
    return error_of();
  };
  const nlohmann::ordered_json good = models::read_manifest(file);
  const auto changed = [&](const std::string& path, const nlohmann::ordered_json& value) {
    nlohmann::ordered_json content = good;
    content[nlohmann::ordered_json::json_pointer(path)] = value;
    const std::string dumped = content.dump();
    const std::string checksum = fmt::format("{:08x}", crc32c(dumped.data(), dumped.size()));
    return said(nlohmann::ordered_json{{"crc32c", checksum}, {"checkpoint", content}}.dump());
  };
  CHECK(changed("/iteration", 10) == "nothing was thrown");
  for (const auto& [path, value, message] : std::vector<std::tuple<std::string, nlohmann::ordered_json, std::string>>{
           {"/format", "1", "format: found \"1\", want an integer"},
           {"/iteration", 1.5, "iteration: found 1.5, want an integer of at least 0"},
           {"/iteration", -1, "iteration: found -1, want an integer of at least 0"},
           {"/file", "../x", "file: found \"../x\", want a file name"},
           {"/file", 7, "file: found 7, want a string"},
           {"/metrics", 7, "metrics: found 7, want an object"},
           {"/metrics/a", "7", "metrics.a: found \"7\", want a number"},
           {"/tensors", nullptr, "tensors: found null, want an object"},
           {"/tensors/a", 1, "tensors.a: found 1, want an object"},
           {"/tensors/a/dtype", 1, "tensors.a.dtype: found 1, want a string"}}) {
    INFO(path);
    CHECK(changed(path, value).find("000000010.json: " + message) != std::string::npos);
  }
  CHECK(said(std::string(200000, '[')).find("000000010.json: is no whole manifest: ") != std::string::npos);
  CHECK(said("{\"crc32c\": 1, \"crc32c\": 2}").find("stands twice") != std::string::npos);
  CHECK(said("{\"crc32c\": 1e999}").find("number overflow") != std::string::npos);
  CHECK(said("{\"crc32c\": [[[1]]], \"checkpoint\": {}}").find("it says [[[1]]]") != std::string::npos);
}

TEST_CASE("checkpoint: one that is there already is whole while it is written again with other values") {
  const TemporaryFolder folder;
  CheckpointStore store(folder / "c", {1, ""});
  store.save(made_up_checkpoint(10));
  Checkpoint other = made_up_checkpoint(10);
  other.tensors.tensors.begin()->second.bytes[0] ^= std::byte{1};
  store.save(other);
  CHECK(same(*store.newest(nothing_skipped), other));
  CHECK(std::distance(fs::directory_iterator(store.folder()), fs::directory_iterator()) == 2);
}

TEST_CASE("checkpoint: differences are named by key with old and new") {
  const ordered_json was = {{"batch", 16}, {"augmentation", {{"scale_min", 0.5}, {"rotate", 10}}}, {"workers", 2}};
  ordered_json is = was;
  CHECK(models::differences(was, is).empty());
  is["augmentation"]["scale_min"] = 0.75;
  is["workers"] = 4;
  is["clip"] = true;
  CHECK(models::differences(was, is, {"workers"}) ==
        std::vector<std::string>{"augmentation.scale_min: was 0.5, is 0.75", "clip: was null, is true"});
  CHECK(models::differences(was, is, {"workers", "augmentation", "clip"}).empty());
  CHECK(models::first_few({"a", "b", "c", "d", "e", "f"}) == "a; b; c; d; and 2 more");
}

TEST_CASE("checkpoint: a changed network is told by its nodes and by its tensors") {
  const auto build = [](int64_t classes, double dropout) {
    const nlohmann::json settings = {{"classes", classes}, {"dropout", dropout}, {"crop_h", 33}, {"crop_w", 33}};
    return models::read_model("psanet18", settings).build({layers::Mode::train, 1});
  };
  const Graph a = build(5, 0.1), same_again = build(5, 0.1), dropout = build(5, 0.25), classes = build(7, 0.1);
  CHECK(models::differences(models::describe(a), models::describe(same_again)).empty());
  const auto by_dropout = models::differences(models::describe(a), models::describe(dropout));
  REQUIRE_FALSE(by_dropout.empty());
  CHECK(by_dropout[0].find("dropout_factors") != std::string::npos);
  CHECK(by_dropout[0].find("0.25") != std::string::npos);

  Device device = Device::cpu(1);
  Parameters was(device), is(device);
  was.add(a, 1);
  is.add(classes, 1);
  Safetensors tensors = models::to_file(was, 0, true);
  CHECK(models::tensor_differences(tensors, was, "file").empty());
  const auto by_classes = models::tensor_differences(tensors, is, "file");
  CHECK(by_classes.size() == 4);  // weight and bias of both heads
  CHECK(std::find(by_classes.begin(), by_classes.end(),
                  "parameter \"cls.4.weight\": was [5,512,1,1], is [7,512,1,1]") != by_classes.end());
  tensors.tensors["gone.weight"] = tensors.at("cls.4.weight");
  tensors.tensors.erase("cls.4.bias");
  const auto others = models::tensor_differences(tensors, was, "file");
  CHECK(others == std::vector<std::string>{"parameter \"cls.4.bias\": was not there, is [5]",
                                           "tensor \"gone.weight\": was [5,512,1,1], is not in the model"});
}

}  // namespace
}  // namespace psanet::tests
