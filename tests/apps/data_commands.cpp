// psanet-data check, stats and score from the command line.
#include <nlohmann/json.hpp>

#include "data/codec.h"
#include "data/file_bytes.h"
#include "tests/apps/programs.h"
#include "tests/support/catch.h"
#include "tests/support/temporary_folder.h"

namespace psanet::tests {
namespace {

namespace fs = std::filesystem;

TEST_CASE("data tools: a command is needed, and a mistyped one gets a suggestion") {
  CHECK(run_program("psanet-data", {}).err ==
        "psanet-data: error: A command is required; commands are: prepare, check, stats, score (see psanet-data "
        "--help)\n");
  const ProgramResult wrong = run_program("psanet-data", {"chek", "camvid"});
  CHECK(wrong.exit_code == 2);
  CHECK(wrong.err.find("no command \"chek\", did you mean \"check\"?") != std::string::npos);
  const ProgramResult missing = run_program("psanet-data", {"check", "scenes"});
  CHECK(missing.exit_code == 2);
  CHECK(missing.err == "psanet-data: error: --root is required (see psanet-data check --help)\n");
  const ProgramResult help = run_program("psanet-data", {"stats", "--help"});
  CHECK(help.exit_code == 0);
  CHECK(help.out.find("--output") != std::string::npos);
  CHECK(help.out.find("Exit codes") != std::string::npos);
}

TEST_CASE("data tools: check ends with 3 and one line when something is bad, and reports everything") {
  const TemporaryFolder folder;
  const fs::path root = folder / "scenes", report = folder / "report.json";
  fs::copy(tiny_scenes(), root, fs::copy_options::recursive);
  CHECK(run_well("psanet-data", {"check", "scenes", "--root", root}).out.find("no errors") != std::string::npos);
  for (const char* name : {"0001", "0004", "0006"}) fs::remove(root / "labels/train" / (std::string(name) + ".png"));
  const ProgramResult bad = run_program(
      "psanet-data", {"check", "scenes", "--root", root, "--split", "train", "--limit", "2", "--report", report});
  CHECK(bad.exit_code == 3);
  CHECK(bad.err.find("psanet-data: error: scenes in " + root.string() + ": 3 errors and ") == 0);
  CHECK(std::count(bad.err.begin(), bad.err.end(), '\n') == 1);
  CHECK(bad.out.find("3 x error: missing file") != std::string::npos);
  CHECK(bad.out.find("more (--limit, --report)") != std::string::npos);
  const auto document = nlohmann::json::parse(file_bytes(report));
  CHECK(document["errors"] == 3);
  CHECK(document["splits"].size() == 1);
  CHECK(document["splits"][0]["good"] == 5);
  int named = 0;
  for (const auto& problem : document["problems"]) named += problem["kind"] == "missing file" && problem["line"] > 0;
  CHECK(named == 3);
  const ProgramResult nowhere = run_program("psanet-data", {"check", "scenes", "--root", folder / "nowhere"});
  CHECK(nowhere.exit_code == 3);
  CHECK(nowhere.err ==
        "psanet-data: error: the data root " + (folder / "nowhere").string() + " of scenes is not a folder\n");
}

TEST_CASE("data tools: stats writes a table, CSV, JSON and a chart, the same for any number of threads") {
  const TemporaryFolder folder;
  const fs::path one = folder / "one", two = folder / "two";
  const ProgramResult result =
      run_well("psanet-data", {"stats", "scenes", "--root", tiny_scenes(), "--output", one, "--threads", "1"});
  CHECK(result.out.find("images: 8, all 64 x 48 pixels") != std::string::npos);
  run_well("psanet-data", {"stats", "scenes", "--root", tiny_scenes(), "--output", two, "--threads", "3"});
  for (const char* file : {"classes.png", "classes.csv", "statistics.json"}) {
    CAPTURE(file);
    CHECK(file_bytes(one / file) == file_bytes(two / file));
    CHECK(!file_bytes(one / file).empty());
  }
  CHECK(nlohmann::json::parse(file_bytes(one / "statistics.json"))["classes"].size() == 9);
}

TEST_CASE("data tools: score takes a split, a folder or a list as truth") {
  const TemporaryFolder folder;
  const fs::path root = tiny_scenes(), predictions = folder / "predictions", output = folder / "scores";
  fs::copy(root / "labels/val", predictions);
  const std::string whole = "mIoU 100.00";
  for (const std::vector<std::string>& truth : {std::vector<std::string>{"--root", root},
                                                {"--truth", root / "labels/val"},
                                                {"--truth", root / "lists/val.txt", "--root", root}}) {
    std::vector<std::string> arguments = {"score", "scenes", "--prediction", predictions};
    arguments.insert(arguments.end(), truth.begin(), truth.end());
    CHECK(run_well("psanet-data", arguments).out.find(whole) != std::string::npos);
  }
  data::LabelMap label = data::read_label(predictions / "0001.png");
  for (auto& v : label.labels) v = v == 0 ? 1 : v;  // sky becomes building
  data::write_label_png(predictions / "0001.png", label);
  const ProgramResult worse =
      run_well("psanet-data", {"score", "scenes", "--root", root, "--prediction", predictions, "--output", output});
  CHECK(worse.out.find(whole) == std::string::npos);
  const auto metrics = nlohmann::json::parse(file_bytes(output / "metrics.json"));
  CHECK(metrics["pixel_accuracy"] < 1.0);
  CHECK(metrics["pixel_accuracy"] > 0.5);

  fs::remove(predictions / "0001.png");
  const ProgramResult missing =
      run_program("psanet-data", {"score", "scenes", "--root", root, "--prediction", predictions});
  CHECK(missing.exit_code == 3);
  CHECK(missing.err == "psanet-data: error: " + predictions.string() +
                           ": 1 of 3 predictions are missing, the first is 0001.png; scores are of whole sets: predict "
                           "them, or give a list of the truths that were predicted\n");
  data::write_label_png(predictions / "0001.png", data::LabelMap(48, 63));
  const ProgramResult size =
      run_program("psanet-data", {"score", "scenes", "--root", root, "--prediction", predictions});
  CHECK(size.exit_code == 3);
  CHECK(size.err == "psanet-data: error: " + (predictions / "0001.png").string() +
                        ": the prediction is 63 x 48 pixels (width x height) but the truth " +
                        (root / "labels/val/0001.png").string() + " is 64 x 48; resize it to the size of the image\n");
  CHECK(run_program("psanet-data", {"score", "scenes", "--prediction", predictions}).exit_code == 2);
}

}  // namespace
}  // namespace psanet::tests
