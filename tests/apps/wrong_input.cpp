// Every kind of wrong input: one line that names it, the documented exit code, nothing written.
#include <fstream>

#include "data/codec.h"
#include "engine/safetensors.h"
#include "tests/apps/programs.h"
#include "tests/support/catch.h"
#include "tests/support/temporary_folder.h"

namespace psanet::tests {
namespace {

void check_error(const ProgramResult& result, int exit_code, const std::vector<std::string>& words) {
  INFO("it said: " << result.err);
  CHECK(result.exit_code == exit_code);
  CHECK(std::count(result.err.begin(), result.err.end(), '\n') == 1);
  for (const std::string& word : words) {
    CAPTURE(word);
    CHECK(result.err.find(word) != std::string::npos);
  }
}

void write(const std::filesystem::path& file, const std::string& text) {
  std::ofstream(file) << text;
}

TEST_CASE("wrong command lines end with 2") {
  check_error(run_program("psanet-train", {}), 2, {"recipe"});
  check_error(run_program("psanet-train", {"demo_with_psa", "--itertions", "5"}), 2, {"--itertions"});
  check_error(run_program("psanet-train", {"demo_wth_psa"}), 2, {"demo_wth_psa", "did you mean demo_with_psa"});
  check_error(run_program("psanet-info", {"psanet5"}), 2, {"psanet5", "psanet50"});
  check_error(run_program("psanet-info", {"psanet50", "--set", "crop_h=466"}), 2, {"crop_h", "466", "465"});
  check_error(run_program("psanet-info", {"psanet50", "--set", "clases=3"}), 2, {"clases", "classes"});
  check_error(run_program("psanet-info", {"psanet50", "--batch", "0"}), 2, {"--batch", "0"});
  const std::string endless(5000, 'x');
  check_error(run_program("psanet-info", {endless}), 2, {"xxx", "no such model file"});
  check_error(run_program("psanet-train", {endless}), 2, {"xxx", "no such recipe"});
  check_error(run_program("psanet-eval", {endless}), 2, {"xxx", "no run folder"});
  check_error(run_program("psanet-predict", {endless, "x.png"}), 3, {"xxx", "File name too long"});
  check_error(run_program("psanet-eval", {}), 2, {"--model"});
  check_error(run_program("psanet-eval", {"/nowhere"}), 2, {"/nowhere", "recipe.json"});
  check_error(run_program("psanet-predict", {"--run", "/nowhere"}), 2, {"--split"});
}

TEST_CASE("wrong recipes end with 2 and leave no run folder") {
  const TemporaryFolder folder;
  const std::filesystem::path output = folder / "run";
  const auto train = [&](const std::vector<std::string>& settings) {
    std::vector<std::string> arguments = {"demo_with_psa", "--data-root", tiny_scenes(), "--output", output};
    for (const std::string& a : tiny_overrides()) arguments.push_back(a);
    arguments.insert(arguments.end(), settings.begin(), settings.end());
    return run_program("psanet-train", arguments);
  };
  check_error(train({"base_rte=1"}), 2, {"base_rte", "base_rate"});
  check_error(train({"batch=0"}), 2, {"batch", "0"});
  check_error(train({"batch=\"many\""}), 2, {"batch", "many", "integer"});
  check_error(train({"let.crop_h=34"}), 2, {"crop_h", "34", "33"});
  check_error(train({"let.classes=5"}), 2, {"classes", "5", "9"});
  check_error(train({"augmentation.scale_mn=1"}), 2, {"augmentation", "scale_mn", "scale_min"});
  check_error(train({"evaluation.scales=[]"}), 2, {"evaluation.scales"});
  check_error(train({"mean_of_ranks=true", "accumulate=2"}), 2, {"mean_of_ranks", "accumulate 2"});
  check_error(train({"batch=2", "--timeline", folder / "t.json"}), 2, {"--timeline", "third step", "this one makes 2"});
  check_error(train({"batch=2", "--timeline", folder / "no/t.json"}), 2, {"--timeline", "no folder"});
  check_error(train({"batch=2", "--ranks", "0"}), 2, {"--ranks", "found 0", "at least 1"});
  check_error(train({"batch=2", "--collective-limit", "0"}), 2, {"--collective-limit", "found 0", "at least 1"});
  CHECK(!std::filesystem::exists(output));

  write(folder / "broken.json", "{\"model\": ");
  check_error(run_program("psanet-train", {folder / "broken.json"}), 2, {"broken.json", "JSON"});
}

TEST_CASE("numbers of recipes and command lines that nothing can count end with 2") {
  const TemporaryFolder folder;
  const std::filesystem::path output = folder / "run";
  const auto train = [&](const std::vector<std::string>& settings) {
    std::vector<std::string> arguments = {"demo_with_psa", "--data-root", tiny_scenes(), "--output", output};
    for (const std::string& a : tiny_overrides()) arguments.push_back(a);
    arguments.insert(arguments.end(), settings.begin(), settings.end());
    return run_program("psanet-train", arguments);
  };
  check_error(train({"iterations=0", "epochs=1", "batch=4294967296", "accumulate=4294967296"}), 2,
              {"batch: found 4294967296", "at most"});
  check_error(train({"accumulate=4611686018427387904"}), 2, {"accumulate: found 4611686018427387904", "at most 4096"});
  check_error(train({"cache_mb=-1"}), 2, {"cache_mb: found -1", "at least 0"});
  check_error(train({"iterations=0", "epochs=1000000000000"}), 2, {"epochs: found 1000000000000", "at most"});
  check_error(train({"evaluation.scales=[1e9]"}), 2, {"evaluation.scales: found 1000000000", "at most 64"});
  check_error(train({"evaluation.stride=-1"}), 2, {"evaluation.stride: found -1", "at least 0"});
  check_error(train({"base_rate=1e999"}), 2, {"base_rate: found \"1e999\", want a number"});
  check_error(train({"about=\xff"}), 2, {"--set about", "want UTF-8"});
  check_error(train({"let.crop_h=" + std::string(100000, '[')}), 2, {"let.crop_h", "deeper than 64"});
  check_error(train({"let.crop_h=2147483633", "let.crop_w=2147483633"}), 2, {"the image", "2^63-1"});
  check_error(train({std::string(100, 'a') + ".b.c.d.e.f.g.h.i.j.k=1"}), 2, {"want the name of a value"});
  CHECK(!std::filesystem::exists(output));
  check_error(run_program("psanet-info", {"psanet50", "--batch", "9223372036854775807"}), 2, {"the image", "2^63-1"});
  check_error(run_program("psanet-info", {"psanet50", "--set", "classes=\xff"}), 2, {"--set classes", "want UTF-8"});
  check_error(run_program("psanet-info", {"fcn18", "--set", "stem_1=4611686018427387904"}), 2,
              {"out_channels", "2147483647"});
}

TEST_CASE("hostile JSON of every kind ends with one line and the code of its kind") {
  const TemporaryFolder folder;
  const std::string deep(200000, '['), twice = "{\"a\": 1,\n\"a\": 2}", large = "[1e999]", bytes = "[\"\xff\"]";
  const auto of_every_kind = [&](const std::filesystem::path& file, int exit_code, const std::string& program,
                                 const std::vector<std::string>& arguments) {
    for (const auto& [text, word] :
         {std::pair{deep, "deeper than 64"}, {twice, "stands twice"}, {large, "number overflow"}, {bytes, "UTF-8"}}) {
      write(file, text);
      check_error(run_program(program, arguments), exit_code, {file.filename(), word, "line"});
    }
  };
  of_every_kind(folder / "model.json", 2, "psanet-info", {folder / "model.json"});
  of_every_kind(folder / "recipe.json", 2, "psanet-train", {folder / "recipe.json"});
  of_every_kind(folder / "dataset.json", 3, "psanet-data", {"check", folder / "dataset.json", "--root", folder.path()});
  std::filesystem::create_directories(folder / "run" / "evaluation");
  of_every_kind(folder / "run" / "recipe.json", 2, "psanet-report", {folder / "run"});
  write(folder / "run" / "recipe.json", "{}");
  write(folder / "run" / "metrics.jsonl", "{\"iteration\": 1, \"loss\": 2}\n");
  of_every_kind(folder / "run" / "evaluation" / "metrics.json", 2, "psanet-report", {folder / "run"});
  write(folder / "run" / "evaluation" / "metrics.json", "{\"classes\": [{\"name\": 3}]}");
  check_error(run_program("psanet-report", {folder / "run"}), 2,
              {"metrics.json: classes[0].name: found 3, want a string"});
  write(folder / "run" / "evaluation" / "metrics.json", "{\"mIoU\": [1]}");
  check_error(run_program("psanet-report", {folder / "run"}), 2, {"metrics.json: mIoU: found [1], want a number"});
  std::filesystem::remove(folder / "run" / "evaluation" / "metrics.json");
  write(folder / "run" / "metrics.jsonl", deep + "\n{}\n");
  check_error(run_program("psanet-report", {folder / "run"}), 2, {"metrics.jsonl, line 1: want a JSON object"});
}

TEST_CASE("a run folder that holds a run is not overwritten") {
  const TemporaryFolder folder;
  write(folder / "weights.safetensors", "of days");
  std::vector<std::string> arguments = {"demo_with_psa", "--data-root", tiny_scenes(), "--output", folder.path()};
  for (const std::string& a : tiny_overrides()) arguments.push_back(a);
  check_error(run_program("psanet-train", arguments), 2, {"holds a run already", "--resume"});
  arguments.insert(arguments.end(), {"--resume", "auto"});
  check_error(run_program("psanet-train", arguments), 2, {"holds a run already"});
  CHECK(file_bytes(folder / "weights.safetensors") == "of days");
  CHECK(!std::filesystem::exists(folder / "recipe.json"));
}

TEST_CASE("wrong data ends with 3 and names the file") {
  const TemporaryFolder folder;
  const std::filesystem::path root = folder / "data";
  const auto train = [&] {
    std::vector<std::string> arguments = {"demo_with_psa", "--data-root", root, "--output", folder / "run"};
    for (const std::string& a : tiny_overrides()) arguments.push_back(a);
    arguments.push_back("iterations=4");  // an epoch: every sample is read
    return run_program("psanet-train", arguments);
  };
  const auto fresh = [&] {
    std::filesystem::remove_all(root);
    std::filesystem::remove_all(folder / "run");
    std::filesystem::copy(tiny_scenes(), root, std::filesystem::copy_options::recursive);
  };
  const auto first_file = [&](const char* kind) {
    std::vector<std::filesystem::path> files;
    for (const auto& e : std::filesystem::directory_iterator(root / kind / "train")) files.push_back(e.path());
    return *std::min_element(files.begin(), files.end());
  };

  check_error(train(), 3, {"data"});  // no such folder
  fresh();
  write(root / "lists" / "train.txt", "");
  check_error(train(), 3, {"train.txt", "empty"});
  fresh();
  std::filesystem::remove(first_file("images"));
  check_error(train(), 3, {"0000"});

  fresh();  // truncated photograph
  std::filesystem::resize_file(first_file("images"), std::filesystem::file_size(first_file("images")) / 2);
  check_error(train(), 3, {"0000", "truncated"});
  fresh();  // truncated label
  std::filesystem::resize_file(first_file("labels"), std::filesystem::file_size(first_file("labels")) / 2);
  check_error(train(), 3, {"0000.png"});
  fresh();  // another size
  data::write_label_png(first_file("labels"), data::LabelMap(10, 12, 1));
  check_error(train(), 3, {"0000", "10", "48"});
  fresh();  // a value that is no class
  data::write_label_png(first_file("labels"), data::LabelMap(48, 64, 77));
  check_error(train(), 3, {"0000.png", "77"});
  fresh();  // a coloured picture instead of indices
  data::write_png(first_file("labels"), data::Image(48, 64));
  check_error(train(), 3, {"0000.png"});
  CHECK(!std::filesystem::exists(folder / "run" / std::string("weights.safetensors")));
}

TEST_CASE("wrong weights end with 4") {
  const TemporaryFolder folder;
  const auto predict = [&](const std::string& weights) {
    return run_program("psanet-predict",
                       {"--model", "fcn18", "--set", "crop_h=33", "crop_w=33", "--dataset", "scenes", "--weights",
                        weights, "--output", folder / "pictures", tiny_scenes() / "images" / "val"});
  };
  check_error(predict(folder / "none.safetensors"), 4, {"none.safetensors", "no such file"});
  write(folder / "text.safetensors", "these are not weights");
  check_error(predict(folder / "text.safetensors"), 4, {"text.safetensors"});
  Safetensors file;
  const std::vector<float> values(64 * 3 * 3 * 3);
  file.tensors["layer0.0.weight"] = FileTensor::of({64, 3, 3, 3}, std::span<const float>(values));
  write_safetensors(folder / "few.safetensors", file);
  check_error(predict(folder / "few.safetensors"), 4, {"few.safetensors", "layer0.1.weight"});
  file.tensors["layer0.0.weight"] = FileTensor::of({64, 3, 9, 1}, std::span<const float>(values));
  write_safetensors(folder / "shape.safetensors", file);
  check_error(predict(folder / "shape.safetensors"), 4, {"layer0.0.weight", "[64,3,9,1]", "[64,3,3,3]"});
  CHECK(!std::filesystem::exists(folder / "pictures"));
}

TEST_CASE("psanet-run refuses tensors that do not fit the model and writes nothing") {
  const TemporaryFolder folder;
  const std::filesystem::path in = folder / "in.safetensors", out = folder / "out.safetensors";
  const auto run = [&](const Safetensors& file, const std::vector<std::string>& more) {
    write_safetensors(in, file);
    std::vector<std::string> arguments = {"--model",   "fcn18",   "--set", "classes=3", "crop_h=33",
                                          "crop_w=33", "--input", in,      "--output",  out};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_program("psanet-run", arguments);
  };
  const std::vector<float> pixels(3 * 33 * 33);
  std::vector<int64_t> label(33 * 33, 1);
  Safetensors file;
  check_error(run(file, {}), 3, {"image"});
  file.tensors["image"] = FileTensor::of({1, 33, 33, 3}, std::span<const float>(pixels));
  check_error(run(file, {}), 3, {"image", "[1,33,33,3]", "[N,3,33,33]"});
  file.tensors["image"] = FileTensor::of({1, 3, 33, 33}, std::span<const float>(pixels));
  check_error(run(file, {"--grad"}), 3, {"label"});
  label[5] = 3;
  file.tensors["label"] = FileTensor::of({1, 33, 33}, std::span<const int64_t>(label));
  check_error(run(file, {"--grad"}), 3, {"label", "3", "0..2"});
  label[5] = 255;
  file.tensors["label"] = FileTensor::of({1, 33 * 33, 1}, std::span<const int64_t>(label));
  check_error(run(file, {"--grad"}), 3, {"label", "[1,33,33]"});
  CHECK(!std::filesystem::exists(out));
}

}  // namespace
}  // namespace psanet::tests
