// The recipes that ship with us, and the keys of a recipe.
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "apps/recipe.h"
#include "engine/error.h"
#include "engine/safetensors.h"
#include "tests/apps/programs.h"
#include "tests/support/catch.h"
#include "tests/support/temporary_folder.h"

namespace psanet::tests {
namespace {

using apps::Recipe;

std::vector<std::string> our_recipes() {
  std::vector<std::string> names;
  for (const auto& entry :
       std::filesystem::directory_iterator(std::filesystem::path(PSANET_SOURCE_DIR) / "apps" / "recipes")) {
    names.push_back(entry.path().stem().string());
  }
  return names;
}

Recipe recipe(const std::string& name, const std::vector<std::string>& overrides = {}) {
  return apps::read_recipe(apps::find_recipe(name), overrides);
}

std::string error_of(const std::string& name, const std::vector<std::string>& overrides) {
  try {
    recipe(name, overrides).updates(1000);
  } catch (const ConfigError& e) {
    return e.what();
  }
  return "no error";
}

TEST_CASE("every recipe builds every model") {
  for (const std::string& name : our_recipes()) {
    for (const std::string& model : models::our_models()) {
      INFO(name << " with " << model);
      const Recipe r = recipe(name, {"model=" + model});
      const data::Dataset dataset = data::load_dataset(r.dataset);
      const models::Model read = apps::read_recipe_model(r, dataset);
      CHECK(read.classes == dataset.class_count());
      const Graph graph = read.build({layers::Mode::train, 2});
      CHECK(graph.output("logits"));
    }
  }
}

TEST_CASE("recipes are those of the paper and of semseg") {
  struct Row {
    std::string name;
    int64_t images, updates, psanet_crop, pspnet_crop, base_size;
    double rotation, blur;
  };
  const Row rows[] = {
      {"ade20k", 20210, 150000, 465, 473, 512, 0.5, 0.5},
      {"ade20k_semseg", 20210, 126300, 465, 473, 512, 0.5, 0.5},
      {"voc2012", 10582, 30000, 465, 473, 512, 0.5, 0.5},
      {"voc2012_semseg", 10582, 33050, 465, 473, 512, 0.5, 0.5},
      {"voc2012_pretrained", 10582, 30000, 465, 473, 512, 0.5, 0.5},
      {"cityscapes", 2975, 90000, 705, 713, 2048, 0, 0},
      {"cityscapes_semseg", 2975, 37000, 705, 713, 2048, 0.5, 0.5},
  };
  for (const Row& row : rows) {
    INFO(row.name);
    const Recipe psanet = recipe(row.name), pspnet = recipe(row.name, {"model=pspnet101"});
    CHECK(psanet.updates(row.images) == row.updates);
    CHECK(psanet.let["crop_h"] == row.psanet_crop);
    CHECK(pspnet.let["crop_w"] == row.pspnet_crop);
    CHECK(psanet.evaluation.base_size == row.base_size);
    CHECK(psanet.evaluation.mirror);
    CHECK(psanet.batch == 16);
    CHECK(psanet.base_rate == 0.01);
    CHECK(psanet.power == 0.9);
    CHECK(psanet.momentum == 0.9);
    CHECK(psanet.weight_decay == 1e-4);
    CHECK(psanet.head_rate_factor == 10);
    CHECK(psanet.augmentation.scale_min == 0.5);
    CHECK(psanet.augmentation.scale_max == 2);
    CHECK(psanet.augmentation.rotate_degrees == 10);
    CHECK(psanet.augmentation.rotate_probability == row.rotation);
    CHECK(psanet.augmentation.blur_probability == row.blur);
    CHECK(psanet.augmentation.mirror_probability == 0.5);
    CHECK(psanet.drop_classifier == (row.name == "voc2012_pretrained"));
  }
}

TEST_CASE("a recipe gives the crop that its model wants and the command line has the last word") {
  CHECK(recipe("ade20k", {"model=pspnet50", "let.crop_h=481"}).let["crop_h"] == 481);
  CHECK(recipe("ade20k", {"let.crop_h=481", "model=pspnet50"}).let["crop_w"] == 473);
  CHECK(recipe("ade20k", {"model=some/where/pspnet50.json"}).let["crop_h"] == 473);
  // What a run folder keeps stands for itself.
  const TemporaryFolder folder;
  std::ofstream(folder / "recipe.json") << recipe("ade20k", {"model=pspnet50"}).to_json().dump();
  CHECK(apps::read_recipe(folder / "recipe.json", {}).let["crop_h"] == 473);
}

TEST_CASE("updates are counted in iterations or in epochs") {
  CHECK(recipe("ade20k", {"epochs=3", "batch=16", "accumulate=2"}).updates(100) == 9);
  CHECK(recipe("ade20k_semseg", {"iterations=7"}).updates(100) == 7);
  CHECK(recipe("ade20k_semseg", {"iterations=7"}).epochs == 0);
}

TEST_CASE("impossible recipes are errors of one line") {
  const auto [name, overrides, piece] = GENERATE(table<std::string, std::vector<std::string>, std::string>({
      {"ade20k", {"iterations=5", "epochs=5"}, "found iterations 5 and epochs 5, want one of the two"},
      {"ade20k", {"iterations=0"}, "ade20k.json.iterations: found 0, want at least 1"},
      {"ade20k", {"epochs=-1"}, "ade20k.json.epochs: found -1, want at least 1"},
      {"ade20k", {"accumulate=0"}, "ade20k.json.accumulate: found 0, want at least 1"},
      {"ade20k_semseg", {"batch=600", "accumulate=2"}, "batch: 600 x accumulate 2 is more than the 1000"},
      {"ade20k", {"acumulate=2"}, "accumulate"},
      {"ade20k", {"let_for=3"}, "ade20k.json.let_for: found 3, want an object"},
      {"ade20k", {"let_for.psanet=3"}, "ade20k.json.let_for.psanet: found 3, want an object"},
  }));
  const std::string message = error_of(name, overrides);
  INFO(message);
  CHECK(message.find('\n') == std::string::npos);
  CHECK(message.find(piece) != std::string::npos);
}

TEST_CASE("docs/training.md lists every key of a recipe") {
  const std::string marker = "<!-- From here on written from the code: PSANET_UPDATE_DOCS=1 test_apps \"docs*\" -->\n";
  const std::filesystem::path page = std::filesystem::path(PSANET_SOURCE_DIR) / "docs" / "training.md";
  const std::string text = file_bytes(page);
  const size_t at = text.find(marker);
  REQUIRE(at != std::string::npos);
  const std::string wanted = text.substr(0, at) + marker + "\n" + apps::document_recipe();
  if (std::getenv("PSANET_UPDATE_DOCS")) std::ofstream(page) << wanted;
  INFO("run PSANET_UPDATE_DOCS=1 test_apps \"docs*\" and commit docs/training.md");
  CHECK(file_bytes(page) == wanted);
}

std::vector<std::string> tiny(const std::filesystem::path& output, const std::vector<std::string>& more) {
  std::vector<std::string> arguments = {"demo_with_psa", "--data-root", tiny_scenes(), "--output", output};
  for (const std::string& a : tiny_overrides()) arguments.push_back(a);
  arguments.insert(arguments.end(), {"val_split=\"\""});
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

TEST_CASE("a run that accumulates and counts epochs and takes the Caffe options resumes to the same bits") {
  const TemporaryFolder folder;
  const std::vector<std::string> options = {"accumulate=2",
                                            "iterations=0",
                                            "epochs=2",
                                            "loss_at_scores=true",
                                            "batch_norm_decay_factor=0",
                                            "classifier_bias_rate_factor=20",
                                            "save_every=1"};
  // 8 images, 2 x 2 of an update: 2 updates an epoch. tiny_overrides() counts iterations, so the recipe is written.
  std::vector<std::string> arguments = tiny(folder / "a", options);
  for (std::string& a : arguments) {
    if (a == "iterations=2" || a == "iterations=0") a = "workers=1";
  }
  const ProgramResult whole = run_well("psanet-train", arguments);
  CHECK(whole.out.find("4 updates, each of 2 x 2 images") != std::string::npos);
  for (std::string& a : arguments) {
    if (a == (folder / "a").string()) a = (folder / "b").string();
  }
  arguments.insert(arguments.end(), {"--stop-after", "3"});
  run_well("psanet-train", arguments);
  run_well("psanet-train", {folder / "b", "--resume"});
  const Safetensors a = read_safetensors(folder / "a" / "weights.safetensors"),
                    b = read_safetensors(folder / "b" / "weights.safetensors");
  for (const auto& [name, tensor] : a.tensors) {
    INFO(name);
    CHECK(name.find("accumulated.") == std::string::npos);
    CHECK(tensor.bytes == b.at(name).bytes);
  }
}

TEST_CASE("fine-tuning drops a classifier only when told to") {
  const TemporaryFolder folder;
  run_well("psanet-train", tiny(folder / "a", {}));
  const std::string weights = (folder / "a" / "weights.safetensors").string();
  Safetensors file = read_safetensors(weights);
  const std::vector<float> bias(3, 1.0f);
  file.tensors["cls.4.bias"] = FileTensor::of({3}, std::span<const float>(bias));
  write_safetensors(folder / "other.safetensors", file);
  std::vector<std::string> arguments = tiny(folder / "b", {"--weights", folder / "other.safetensors"});
  const ProgramResult refused = run_program("psanet-train", arguments);
  CHECK(refused.exit_code == 4);
  CHECK(refused.err.find("drop_classifier=true") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(folder / "b"));
  arguments.insert(arguments.end(), {"--set", "drop_classifier=true"});
  CHECK(run_well("psanet-train", arguments).out.find("cls.4.bias") != std::string::npos);
  CHECK(run_program("psanet-train", tiny(folder / "c", {"drop_classifier=true"})).exit_code == 2);
}

}  // namespace
}  // namespace psanet::tests
