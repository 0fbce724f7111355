// What test servers want: archives of miniature sets, and every way in which one can be wrong.
#include "apps/submission.h"

#include <fstream>
#include <functional>

#include "data/codec.h"
#include "data/error.h"
#include "data/image_formats.h"
#include "engine/distributed/gloo_communicator.h"
#include "engine/error.h"
#include "engine/safetensors.h"
#include "tests/apps/programs.h"
#include "tests/support/catch.h"
#include "tests/support/temporary_folder.h"

namespace psanet::tests {
namespace {

namespace fs = std::filesystem;
using apps::SubmissionFormat;
using apps::SubmissionWriter;
using data::Image;
using data::LabelMap;
using data::Sample;

/// Three images of a server's kind, with their list.
struct Miniature {
  explicit Miniature(const std::string& server)
      : format(apps::submission_format(server)), dataset(data::load_dataset(server)) {
    fs::create_directories(folder / "images");
    fs::create_directories(folder / "list");
    const std::string end = server == "cityscapes" ? "_000019_leftImg8bit.png" : ".png";
    std::ofstream list(folder / "list" / "test.txt");
    for (int i = 0; i < 3; ++i) {
      const std::string name = "images/berlin_00000" + std::to_string(i) + end;
      const int height = format.height > 0 ? format.height : 20 + i, width = format.height > 0 ? format.width : 30;
      data::write_png(folder / name, Image(height, width, {90, 90, 90}));
      list << name << "\n";
      samples.push_back({folder / name, {}});
      maps.emplace_back(height, width);
      for (std::size_t p = 0; p < maps.back().labels.size(); ++p) {
        maps.back().labels[p] = static_cast<std::uint8_t>(p % static_cast<std::size_t>(dataset.class_count()));
      }
    }
  }

  void write(const fs::path& archive) const {
    SubmissionWriter writer(format, dataset, samples, archive);
    for (std::size_t i = 0; i < 3; ++i) writer.add(samples[i], maps[i]);
    writer.finish();
  }

  TemporaryFolder folder;
  SubmissionFormat format;
  data::Dataset dataset;
  std::vector<Sample> samples;
  std::vector<LabelMap> maps;
};

void check_says(const std::function<void()>& f, const std::vector<std::string>& words) {
  try {
    f();
    FAIL_CHECK("no error");
  } catch (const data::DataError& e) {
    const std::string said = e.what();
    INFO(said);
    CHECK(said.find('\n') == std::string::npos);
    for (const std::string& word : words) {
      CAPTURE(word);
      CHECK(said.find(word) != std::string::npos);
    }
  }
}

TEST_CASE("submissions have the names and values that the servers want") {
  const std::pair<const char*, const char*> first_names[] = {
      {"ade20k", "berlin_000000.png"},
      {"voc2012", "results/VOC2012/Segmentation/comp6_test_cls/berlin_000000.png"},
      {"cityscapes", "berlin_000000_000019_pred_labelIds.png"}};
  for (const auto& [server, first] : first_names) {
    CAPTURE(server);
    const Miniature set(server);
    const fs::path archive = set.folder / "submission";
    set.write(archive);
    apps::check_submission(set.format, set.dataset, set.samples, archive);
    CHECK(!fs::exists(set.folder / "submission.tmp"));
    std::size_t at = 0;
    data::for_each_archived(archive, [&](const std::string& name, std::span<const std::uint8_t> bytes) {
      if (at == 0) CHECK(name == first);
      const data::LabelPng png = data::decode_label_png(bytes, name);
      CHECK(png.palette.empty() == (std::string(server) != "voc2012"));
      for (std::size_t p = 0; p < 40; ++p) {
        const int wanted = set.dataset.file_value(set.maps[at].labels[p]);
        CHECK(png.label.labels[p] == wanted);
      }
      ++at;
    });
    CHECK(at == 3);
  }
  CHECK(data::load_dataset("ade20k").file_value(0) == 1);
  CHECK(data::load_dataset("cityscapes").file_value(0) == 7);
}

TEST_CASE("a submission that lacks an image is not written") {
  const Miniature set("ade20k");
  const fs::path archive = set.folder / "x.zip";
  check_says(
      [&] {
        SubmissionWriter writer(set.format, set.dataset, set.samples, archive);
        writer.add(set.samples[0], set.maps[0]);
        writer.add(set.samples[2], set.maps[2]);
        writer.finish();
      },
      {"berlin_000001.png is missing", "predict"});
  CHECK(!fs::exists(archive));
  CHECK(!fs::exists(set.folder / "x.zip.tmp"));
}

TEST_CASE("wrong submissions are one line that names what is wrong") {
  const Miniature set("voc2012");
  const fs::path archive = set.folder / "x.tar.gz";
  const std::vector<data::Rgb> palette = set.dataset.palette();
  /// The good archive with one entry changed.
  const auto with = [&](std::size_t changed, const std::string& name, const LabelMap& map,
                        const std::vector<data::Rgb>& colors) {
    data::ArchiveWriter writer(archive, data::ArchiveFormat::tar_gz);
    for (std::size_t i = 0; i < 3; ++i) {
      const bool here = i == changed;
      writer.add(here ? name : set.format.entry_of(set.samples[i].image),
                 data::encode_label_png(here ? map : set.maps[i], here ? colors : palette, "x"));
    }
    writer.close();
    writer.commit();
  };
  const auto says = [&](const std::vector<std::string>& words) {
    check_says([&] { apps::check_submission(set.format, set.dataset, set.samples, archive); }, words);
  };
  const std::string second = set.format.entry_of(set.samples[1].image);
  with(1, second, set.maps[1], palette);
  CHECK_NOTHROW(apps::check_submission(set.format, set.dataset, set.samples, archive));
  with(1, "berlin_000001.png", set.maps[1], palette);
  says({"belongs to no image", "results/VOC2012"});
  with(1, set.format.entry_of(set.samples[0].image), set.maps[0], palette);
  says({"twice"});
  with(1, second, set.maps[0], palette);
  says({second, "30 x 20", "want 30 x 21"});
  LabelMap foreign = set.maps[1];
  foreign.at(3, 4) = 255;
  with(1, second, foreign, palette);
  says({second, "value 255 at x=4 y=3", "0..20"});
  with(1, second, set.maps[1], {});
  says({second, "no palette"});
  with(1, second, set.maps[1], {{1, 2, 3}});
  says({second, "another palette"});

  const Miniature city("cityscapes");
  CHECK_THROWS_AS(SubmissionWriter(city.format, set.dataset, set.samples, city.folder / "x.zip"), ConfigError);
  SubmissionWriter writer(city.format, city.dataset, city.samples, city.folder / "x.zip");
  check_says([&] { writer.add(city.samples[0], LabelMap(512, 1024)); }, {"1024 x 512", "want 2048 x 1024"});
  CHECK_THROWS_AS(apps::submission_format("coco"), ConfigError);
}

TEST_CASE("psanet-eval predicts a test split into an archive, checks it, and scores nothing without labels") {
  const Miniature set("voc2012");
  const fs::path weights = set.folder / "weights.safetensors", out = set.folder / "out";
  const std::vector<std::string> settings = {"classes=21", "crop_h=17", "crop_w=17", "psa_channels=8"};
  {  // untrained weights
    Safetensors in;
    const std::vector<float> image(3 * 17 * 17, 0.1f);
    const std::vector<std::int64_t> label(17 * 17, 1);
    in.tensors["image"] = FileTensor::of({1, 3, 17, 17}, std::span<const float>(image));
    in.tensors["label"] = FileTensor::of({1, 17, 17}, std::span<const std::int64_t>(label));
    write_safetensors(set.folder / "in.safetensors", in);
    std::vector<std::string> arguments = {"--model",  "psanet18_small", "--input", set.folder / "in.safetensors",
                                          "--output", weights,          "--steps", "1",
                                          "--set"};
    arguments.insert(arguments.end(), settings.begin(), settings.end());
    run_well("psanet-run", arguments);
  }
  const auto evaluate = [&](const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"--model",     "psanet18_small", "--weights", weights, "--dataset", "voc2012",
                                          "--data-root", set.folder / "",  "--output",  out,     "--split",   "test"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    arguments.emplace_back("--set");
    arguments.insert(arguments.end(), settings.begin(), settings.end());
    return run_program("psanet-eval", arguments);
  };
  for (const char* protocol : {"semseg", "caffe", "whole", "slide"}) {
    CAPTURE(protocol);
    const ProgramResult result = evaluate({"--submit", "voc2012", "--protocol", protocol, "--base-size", "40"});
    INFO(result.err);
    REQUIRE(result.exit_code == 0);
    CHECK(result.out.find("no labels, nothing scored") != std::string::npos);
    CHECK(result.out.find(std::string(protocol) + " protocol: ") != std::string::npos);
    CHECK(!fs::exists(out / "metrics.json"));
    const std::vector<std::string> check = {"--check-submission", out / "voc2012.tar.gz", "--submit", "voc2012",
                                            "--data-root",        set.folder / ""};
    CHECK(run_well("psanet-eval", check).out.find("all 3 images") != std::string::npos);
  }
  if (has_gloo()) {  // the images shared out, the archive written by rank 0
    const std::vector<std::string> two = {"--submit", "voc2012", "--protocol", "slide", "--base-size", "40"};
    std::vector<std::string> ranks = two;
    ranks.insert(ranks.end(), {"--ranks", "2", "--submission", out / "two.tar.gz"});
    const ProgramResult result = evaluate(ranks);
    INFO(result.err);
    REQUIRE(result.exit_code == 0);
    CHECK(result.out.find("3 images for the server") == result.out.rfind("3 images for the server"));
    REQUIRE(evaluate(two).exit_code == 0);
    CHECK(file_bytes(out / "two.tar.gz") == file_bytes(out / "voc2012.tar.gz"));
  }
  const ProgramResult nothing = evaluate({});
  CHECK(nothing.exit_code == 2);
  CHECK(nothing.err.find("has no labels") != std::string::npos);
  CHECK(evaluate({"--protocol", "sliding"}).err.find("semseg, caffe, whole, slide") != std::string::npos);
  CHECK(evaluate({"--submit", "cityscapes"}).exit_code == 2);
  CHECK(evaluate({"--stride", "5", "--save-predictions"}).err.find("slide") != std::string::npos);

  fs::remove(set.samples[1].image);
  const ProgramResult missing = run_program("psanet-eval", {"--check-submission", out / "voc2012.tar.gz", "--submit",
                                                            "voc2012", "--data-root", set.folder / ""});
  CHECK(missing.exit_code == 3);
  CHECK(missing.err.find("berlin_000001") != std::string::npos);
}

}  // namespace
}  // namespace psanet::tests
