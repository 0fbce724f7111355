// What a run logged, read back, and the page that shows it.
#include "apps/run_report.h"

#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

#include "apps/run_log.h"
#include "apps/svg_chart.h"
#include "data/codec.h"
#include "engine/error.h"
#include "tests/apps/programs.h"
#include "tests/support/catch.h"
#include "tests/support/temporary_folder.h"

namespace psanet::apps {
namespace {

using psanet::tests::TemporaryFolder;

void write(const std::filesystem::path& file, const std::string& text) {
  std::filesystem::create_directories(file.parent_path());
  std::ofstream(file) << text;
}

size_t count(const std::string& text, const std::string& part) {
  size_t n = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size())) ++n;
  return n;
}

TEST_CASE("run log: what a resumed run made again replaces the first time, a cut last line is left out") {
  const TemporaryFolder folder;
  write(folder / "metrics.jsonl",
        "{\"iteration\": 10, \"loss\": 3, \"protocol\": \"words\"}\n"
        "{\"iteration\": 20, \"loss\": 2}\n"
        "{\"iteration\": 20, \"mIoU_val\": 0.5}\n"
        "{\"iteration\": 30, \"loss\": 9}\n"
        "{\"iteration\": 20, \"loss\": 2.5}\n"  // went on from 10
        "{\"iteration\": 30, \"loss\": 1}\n"
        "{\"iteration\": 40, \"lo");
  const auto log = read_run_log(folder / "metrics.jsonl");
  CHECK(log.size() == 2);
  CHECK(log.at("loss").iterations == std::vector<double>{10, 20, 30});
  CHECK(log.at("loss").values == std::vector<double>{3, 2.5, 1});
  CHECK(log.at("mIoU_val").values == std::vector<double>{0.5});
}

TEST_CASE("run log: a broken line in the middle and a missing file are one line") {
  const TemporaryFolder folder;
  write(folder / "metrics.jsonl", "{\"iteration\": 10}\n{\"loss\": 3}\n{\"iteration\": 20}\n");
  CHECK_THROWS_WITH(read_run_log(folder / "metrics.jsonl"),
                    Catch::Contains("metrics.jsonl, line 2: want a JSON object with a number \"iteration\""));
  CHECK_THROWS_AS(read_run_log(folder / "other.jsonl"), ConfigError);
}

TEST_CASE("run log: every number goes to both files, and going on takes out what will be logged again") {
  const TemporaryFolder folder;
  const auto events = [&] {
    std::string all;
    for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
      if (entry.path().filename().string().rfind("events.out.tfevents.", 0) == 0)
        all += psanet::tests::file_bytes(entry.path());
    }
    return all;
  };
  {
    RunLog log(folder.path(), 0, false, "the recipe");
    for (int i : {10, 20, 30})
      log.add({{"iteration", i}, {"loss", 3.0 / i}, {"loss.smooth", 1}, {"protocol", "words"}});
    log.add({{"iteration", 30}, {"mIoU_val", 0.5}});
    log.picture("prediction/street", 30, data::Image(2, 3, {1, 2, 3}));
  }
  for (const char* tag : {"loss_train_batch", "loss_train", "mIoU_val", "prediction/street", "recipe"}) {
    CAPTURE(tag);
    CHECK(events().find(tag) != std::string::npos);
  }
  CHECK(events().find("protocol") == std::string::npos);
  {
    RunLog log(folder.path(), 20, false, "the recipe");
    CHECK(read_run_log(folder / "metrics.jsonl").at("loss").iterations == std::vector<double>{10, 20});
    log.add({{"iteration", 30}, {"loss", 7}});
  }
  const auto log = read_run_log(folder / "metrics.jsonl");
  CHECK(log.at("loss").values.back() == 7);
  CHECK(log.count("mIoU_val") == 0);
}

TEST_CASE("chart: ticks are round and cover the range") {
  CHECK(axis_ticks(0, 1, 5) == std::vector<double>{0, 0.2, 0.4, 0.6000000000000001, 0.8, 1});
  CHECK(axis_ticks(93, 7, 5) == std::vector<double>{0, 20, 40, 60, 80, 100});
  for (const auto& [low, high] :
       std::vector<std::pair<double, double>>{{3, 3}, {0, 0}, {-2e-7, 1e-9}, {1e9, 1e9 + 5}}) {
    const std::vector<double> ticks = axis_ticks(low, high, 6);
    CAPTURE(low, high, ticks);
    CHECK(ticks.size() >= 2);
    CHECK(ticks.size() <= 7);
    CHECK(ticks.front() <= low);
    CHECK(ticks.back() >= high);
  }
}

TEST_CASE("chart: long curves keep their spikes, points that are no number are left out, nothing gives nothing") {
  Curve curve{"loss", {}, {}};
  for (int i = 0; i < 100000; ++i) {
    curve.x.push_back(i);
    curve.y.push_back(i == 54321 ? 77.5 : std::sin(i * 0.01));
  }
  curve.y[100] = std::numeric_limits<double>::quiet_NaN();
  const std::string svg = svg_chart({"a < b", {curve}, false});
  CHECK(svg.size() < 100000);
  CHECK(count(svg, " 77.5") == 1);
  CHECK(count(svg, "nan") == 0);
  CHECK(count(svg, "a &lt; b") == 2);
  CHECK(svg_chart({"empty", {{"none", {}, {}}}, false}).empty());
}

TEST_CASE("report: a page with everything that the folder holds, and nothing from elsewhere") {
  const TemporaryFolder folder;
  write(folder / "recipe.json",
        R"({"about": "a <test>", "model": "fcn18", "dataset": "scenes", "batch": 4, "iterations": 20})");
  write(folder / "metrics.jsonl",
        "{\"iteration\": 10, \"loss\": 3, \"lr\": 0.1}\n{\"iteration\": 20, \"loss\": 2, \"lr\": 0.05}\n");
  std::string page = run_report(folder.path());
  CHECK(count(page, "a &lt;test&gt;") == 2);  // also in the recipe
  CHECK(count(page, "<svg") == 2);
  CHECK(page.find("20 of 20") != std::string::npos);
  CHECK(page.find("Class by class") == std::string::npos);  // not scored yet

  write(folder / "evaluation" / "metrics.json",
        R"({"protocol": "p & q", "mIoU": 0.25, "mAcc": 0.5, "pixel_accuracy": 0.75,
            "classes": [{"name": "road", "iou": 0.25, "accuracy": 0.5}, {"name": "lake", "iou": null, "accuracy": null}]})");
  std::filesystem::create_directories(folder / "samples");
  data::write_png(folder / "samples" / "street.png", data::Image(2, 3, {1, 2, 3}));
  page = run_report(folder.path());
  CHECK(page.find("25.00 %") != std::string::npos);
  CHECK(page.find("p &amp; q") != std::string::npos);
  CHECK(count(page, "<td class=\"number\">n/a</td>") == 2);
  CHECK(count(page, "src=\"data:image/png;base64,") == 1);
  CHECK(count(page, "<img") == 1);
  CHECK(count(page, "http") == 0);
  CHECK_THROWS_WITH(run_report(folder / "samples"), Catch::Contains("no run folder (it has no recipe.json)"));
}

}  // namespace
}  // namespace psanet::apps
