// The programs from end to end, on tiny data.
#include <nlohmann/json.hpp>

#include "data/codec.h"
#include "engine/safetensors.h"
#include "tests/apps/tiny_run.h"
#include "tests/support/catch.h"
#include "tests/support/temporary_folder.h"

namespace psanet::tests {
namespace {

std::vector<std::string> train_arguments(const std::string& recipe, const std::filesystem::path& output) {
  std::vector<std::string> arguments = {recipe, "--data-root", tiny_scenes(), "--output", output};
  for (const std::string& a : tiny_overrides()) arguments.push_back(a);
  return arguments;
}

void check_same_tensors(const std::filesystem::path& a, const std::filesystem::path& b) {
  const Safetensors first = read_safetensors(a), second = read_safetensors(b);
  REQUIRE(first.tensors.size() == second.tensors.size());
  for (const auto& [name, tensor] : first.tensors) {
    CAPTURE(name);
    CHECK(tensor.bytes == second.at(name).bytes);
  }
}

TEST_CASE("train, score and predict leave what they promise") {
  const TemporaryFolder folder;
  const std::filesystem::path run = folder / "run";
  const ProgramResult trained = run_well("psanet-train", train_arguments("demo_with_psa", run));
  CHECK(trained.out.find("peak memory") != std::string::npos);
  for (const char* file :
       {"recipe.json", "metrics.jsonl", "weights.safetensors", "best.safetensors", "checkpoints/000000002.json",
        "evaluation/metrics.json", "evaluation/classes.csv", "evaluation/confusion.csv"}) {
    CAPTURE(file);
    CHECK(std::filesystem::is_regular_file(run / file));
  }
  size_t events = 0, samples = 0;
  for (const auto& entry : std::filesystem::directory_iterator(run)) {
    events += entry.path().filename().string().rfind("events.out.tfevents.", 0) == 0;
  }
  for (const auto& entry : std::filesystem::directory_iterator(run / "samples")) {
    CHECK(data::read_image(entry.path()).width > 3 * 64);  // image, truth, prediction
    ++samples;
  }
  CHECK(events == 1);
  CHECK(samples == 3);
  run_well("psanet-report", {run});
  CHECK(file_bytes(run / "report.html").find("Sample predictions") != std::string::npos);
  const Safetensors weights = read_safetensors(run / "weights.safetensors");
  CHECK(weights.at("layer0.0.weight").shape == std::vector<int64_t>{32, 3, 3, 3});
  CHECK(weights.at("layer0.1.num_batches_tracked").values<int64_t>() == std::vector<int64_t>{2});
  CHECK(!weights.contains("momentum.layer0.0.weight"));

  const auto scored = nlohmann::json::parse(file_bytes(run / "evaluation/metrics.json"));
  const std::filesystem::path again = folder / "scores";
  const ProgramResult evaluated =
      run_well("psanet-eval", {run, "--output", again, "--batch", "3", "--save-predictions"});
  CHECK(evaluated.out.find("semseg protocol") != std::string::npos);
  const auto rescored = nlohmann::json::parse(file_bytes(again / "metrics.json"));
  CHECK(rescored["pixels"] == scored["pixels"]);
  CHECK(rescored["mIoU"].get<double>() == Approx(scored["mIoU"].get<double>()).margin(2e-3));

  const ProgramResult smoothed = run_well(
      "psanet-eval", {run, "--crf-set", "bi_w=4,iterations=5", "--output", folder / "crf", "--save-predictions"});
  CHECK(smoothed.out.find("+ DenseCRF (bi_w 4, bi_xy_std 55, bi_rgb_std 3, pos_w 2, pos_xy_std 1, 5 iterations)") !=
        std::string::npos);
  run_well("psanet-predict", {"--run", run, "--crf", "--output", folder / "plain", "--split", "val", "--limit", "1"});
  CHECK(!std::filesystem::is_empty(folder / "plain"));
  const ProgramResult unknown = run_program("psanet-eval", {run, "--crf-set", "bi_rbg_std=4"});
  CHECK(unknown.exit_code == 2);
  CHECK(unknown.err.find("did you mean \"bi_rgb_std\"?") != std::string::npos);
  const std::filesystem::path one_image = *std::filesystem::directory_iterator(tiny_scenes() / "images" / "val");
  const ProgramResult narrow = run_program("psanet-predict", {"--run", run, "--crf-set", "pos_xy_std=0", one_image});
  CHECK(narrow.exit_code == 2);
  CHECK(narrow.err.find("pos_xy_std: found 0") != std::string::npos);
  // A picture may follow, and the option may be given again.
  run_well("psanet-predict",
           {"--run", run, "--output", folder / "one", "--crf-set", "bi_w=4", "--crf-set", "iterations=1", one_image});
  CHECK(std::filesystem::exists(folder / "one" / (one_image.stem().string() + ".png")));

  const std::filesystem::path pictures = folder / "pictures";
  run_well("psanet-predict", {"--run", run, "--output", pictures, tiny_scenes() / "images" / "val"});
  const std::filesystem::path image = *std::filesystem::directory_iterator(tiny_scenes() / "images" / "val");
  const data::LabelMap map = data::read_label(pictures / (image.stem().string() + ".png"));
  CHECK(map.height == 48);
  CHECK(map.width == 64);
  CHECK(data::read_image(pictures / (image.stem().string() + ".sheet.png")).height > 48);
}

TEST_CASE("the resolved recipe repeats a run bit for bit, and a resumed run equals an uninterrupted one") {
  const TemporaryFolder folder;
  std::vector<std::string> arguments = train_arguments("demo_with_psa", folder / "a");
  arguments.insert(arguments.end(), {"val_split=\"\"", "iterations=4", "save_every=2"});
  run_well("psanet-train", arguments);
  run_well("psanet-train", {folder / "a", "--output", folder / "b"});
  check_same_tensors(folder / "a" / std::string("weights.safetensors"),
                     folder / "b" / std::string("weights.safetensors"));

  std::vector<std::string> half = train_arguments("demo_with_psa", folder / "c");
  half.insert(half.end(), {"val_split=\"\"", "iterations=4", "save_every=2", "--stop-after", "2"});
  run_well("psanet-train", half);
  const ProgramResult resumed = run_well("psanet-train", {folder / "c", "--resume"});
  CHECK(resumed.out.find("iteration 2") != std::string::npos);
  CHECK(same_tensors(manifest_of(folder / "a", 4), manifest_of(folder / "c", 4)));
}

TEST_CASE("psanet-run: logits, losses, gradients and steps of a model on tensors from a file") {
  const TemporaryFolder folder;
  std::vector<float> image(2 * 3 * 33 * 33);
  for (size_t i = 0; i < image.size(); ++i) image[i] = static_cast<float>(i * 7919 % 1000) / 500.0f - 1.0f;
  std::vector<int64_t> label(2 * 33 * 33);
  for (size_t i = 0; i < label.size(); ++i) label[i] = i % 17 == 0 ? 255 : static_cast<int64_t>(i / 40 % 3);
  Safetensors in;
  in.tensors["image"] = FileTensor::of({2, 3, 33, 33}, std::span<const float>(image));
  in.tensors["label"] = FileTensor::of({2, 33, 33}, std::span<const int64_t>(label));
  write_safetensors(folder / "in.safetensors", in);

  const std::vector<std::string> common = {"--model",   "psanet18",  "--set",
                                           "classes=3", "crop_h=33", "crop_w=33",
                                           "dropout=0", "--input",   folder / "in.safetensors"};
  std::vector<std::string> arguments = common;
  arguments.insert(arguments.end(),
                   {"--output", folder / "out.safetensors", "--grad", "--steps", "6", "--rate", "0.002"});
  run_well("psanet-run", arguments);
  const Safetensors out = read_safetensors(folder / "out.safetensors");
  CHECK(out.at("logits").shape == std::vector<int64_t>{2, 3, 33, 33});
  const auto scalar = [&](const char* name) { return out.at(name).values<float>().at(0); };
  CHECK(scalar("loss") == Approx(scalar("loss.main") + 0.4 * scalar("loss.aux")).epsilon(1e-5));
  CHECK(out.at("grad.layer0.0.weight").shape == std::vector<int64_t>{64, 3, 3, 3});
  CHECK(out.at("grad.psa.attention_p.3.weight").shape == out.at("psa.attention_p.3.weight").shape);
  const std::vector<float> losses = out.at("losses").values<float>();
  REQUIRE(losses.size() == 6);
  CHECK(losses[0] == Approx(scalar("loss")).epsilon(1e-6));
  CHECK(losses.back() < losses.front());

  // From the weights it wrote, the loss goes on where it stopped.
  arguments = common;
  arguments.insert(arguments.end(),
                   {"--weights", folder / "out.safetensors", "--output", folder / "next.safetensors", "--grad"});
  run_well("psanet-run", arguments);
  CHECK(read_safetensors(folder / "next.safetensors").at("loss").values<float>().at(0) < losses.front());
}

TEST_CASE("assignments that follow --set are all that it takes") {
  const std::string wanted = run_well("psanet-info", {"psanet50", "--set", "crop_h=241", "crop_w=241"}).out;
  CHECK(wanted.find("241x241") != std::string::npos);
  CHECK(run_well("psanet-info", {"--set", "crop_h=241", "crop_w=241", "psanet50"}).out == wanted);
  CHECK(run_well("psanet-info", {"--set", "crop_h=241", "--set", "crop_w=241", "psanet50"}).out == wanted);
  CHECK(run_well("psanet-info", {"--set=crop_h=241", "psanet50", "--set", "crop_w=241"}).out == wanted);
  const ProgramResult nothing = run_program("psanet-info", {"--set", "psanet50"});
  CHECK(nothing.exit_code == 2);
}

TEST_CASE("psanet-info reports the paper's counts") {
  const ProgramResult report = run_well("psanet-info", {"psanet50"});
  CHECK(report.out.find("53273836") !=
        std::string::npos);  // parameters of PSANet-50 for ADE20K, with the auxiliary head
  CHECK(report.out.find("peak") != std::string::npos);
  CHECK(run_well("psanet-info", {}).out.find("psanet101") != std::string::npos);
}

}  // namespace
}  // namespace psanet::tests
