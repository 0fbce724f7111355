// Figures 5 and 6: pictures and pages of what networks see.
#include <fstream>

#include "apps/attention_picture.h"
#include "apps/image_tasks.h"
#include "data/codec.h"
#include "engine/error.h"
#include "tests/apps/programs.h"
#include "tests/support/catch.h"
#include "tests/support/temporary_folder.h"

namespace psanet::tests {
namespace {

namespace fs = std::filesystem;

/// A network after two steps, shared by the tests of a process.
const fs::path& trained_run() {
  static const TemporaryFolder folder;
  static const fs::path run = [] {
    std::vector<std::string> arguments = {"demo_with_psa", "--data-root", tiny_scenes(), "--output", folder / "run"};
    for (const std::string& a : tiny_overrides()) arguments.push_back(a);
    run_well("psanet-train", arguments);
    return folder / "run";
  }();
  return run;
}

fs::path some_image() {
  for (const auto& entry : fs::recursive_directory_iterator(tiny_scenes())) {
    if (entry.path().string().find("image") != std::string::npos && entry.path().extension() != ".txt" &&
        entry.is_regular_file())
      return entry.path();
  }
  throw std::runtime_error("no scene");
}

size_t count(const std::string& text, const std::string& part) {
  size_t n = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size())) ++n;
  return n;
}

/// What makes a page need anything but itself.
void check_stands_alone(const std::string& page) {
  CHECK(page.rfind("<!doctype html>", 0) == 0);
  CHECK(count(page, "http://") + count(page, "https://") == 0);
  CHECK(count(page, "src=\"") == count(page, "src=\"data:"));
  CHECK(count(page, "<script>") == 1);
  CHECK(count(page, "</script>") == 1);
  CHECK(count(page, "<link") == 0);
}

TEST_CASE("pictures: points are pixels of the image") {
  const data::Image image(48, 64);
  const auto points = apps::parse_points("0,0;63,47", image);
  REQUIRE(points.size() == 2);
  CHECK(points[1].x == 63);
  CHECK(points[1].y == 47);
  for (const auto& [text, wanted] : std::vector<std::pair<std::string, std::string>>{
           {"64,0", "--points: 64,0 lies outside the image; want x in 0..63 and y in 0..47"},
           {"0,-1", "--points: 0,-1 lies outside the image"},
           {"3", "--points: found \"3\", want x,y;x,y in pixels of the image"},
           {"3,4;", "--points: found \"\""},
           {"3,4.5", "--points: found \"3,4.5\""}}) {
    CHECK_THROWS_WITH(apps::parse_points(text, image), Catch::Contains(wanted));
  }
}

TEST_CASE("pictures: attention of points as a sheet and of many images as a page") {
  const TemporaryFolder folder;
  const fs::path picture = folder / "a.png", page = folder / "a.html";
  run_well("psanet-visualize",
           {trained_run(), "--image", some_image(), "--points", "10,20;40,30", "--output", picture});
  const data::Image sheet = data::read_image(picture);
  CHECK(sheet.width > 3 * 320);  // image, collect, distribute: 64 pixels enlarged to 320
  CHECK(sheet.height > 2 * 240);

  run_well("psanet-visualize", {trained_run(), "--split", "val", "--limit", "2", "--html", page});
  const std::string html = file_bytes(page);
  check_stands_alone(html);
  CHECK(count(html, "\"title\":\"collect\"") == 2);
  CHECK(count(html, "\"title\":\"distribute\"") == 2);
  CHECK(count(html, "data:image/jpeg;base64,") == 2);

  for (const auto& [arguments, wanted] : std::vector<std::pair<std::vector<std::string>, std::string>>{
           {{"--image", some_image(), "--points", "64,0"}, "lies outside the image"},
           {{"--image", some_image()}, "want either --points"},
           {{"--points", "1,1"}, "want either --image or --split"},
           {{"--image", tiny_scenes() / "nothing.png", "--points", "1,1"}, "no such file or folder"}}) {
    std::vector<std::string> all = {trained_run()};
    all.insert(all.end(), arguments.begin(), arguments.end());
    const ProgramResult result = run_program("psanet-visualize", all);
    CHECK(result.exit_code == 2);
    CHECK(count(result.err, "\n") == 1);
    INFO(result.err);
    CHECK(result.err.find(wanted) != std::string::npos);
  }
}

TEST_CASE("pictures: a network without attention says so") {
  const TemporaryFolder folder;
  std::vector<std::string> arguments = {"demo_without_psa", "--data-root", tiny_scenes(), "--output", folder / "run"};
  for (const std::string& a : tiny_overrides()) arguments.push_back(a);
  run_well("psanet-train", arguments);
  const ProgramResult result =
      run_program("psanet-visualize", {folder / "run", "--image", some_image(), "--points", "1,1"});
  CHECK(result.exit_code == 2);
  CHECK(result.err.find("the model has no point-wise spatial attention to show") != std::string::npos);
}

TEST_CASE("pictures: predictions with overlays and a page, and an image that cannot be read costs itself alone") {
  const TemporaryFolder folder;
  fs::create_directories(folder / "in");
  fs::copy_file(some_image(), folder / "in" / ("good" + some_image().extension().string()));
  std::ofstream(folder / "in" / "broken.png") << "no picture";
  const ProgramResult result = run_program("psanet-predict", {"--run", trained_run(), folder / "in", "--output",
                                                              folder / "out", "--html", folder / "out.html"});
  CHECK(result.exit_code == 3);
  CHECK(result.out.find("broken.png") != std::string::npos);
  CHECK(result.err.find("1 of 2 images could not be read and were left out") != std::string::npos);
  const data::LabelMap labels = data::read_label(folder / "out" / "good.png");
  CHECK(labels.width == 64);
  CHECK(labels.height == 48);
  const data::Image overlay = data::read_image(folder / "out" / "good.overlay.png");
  CHECK(overlay.width == 64);
  CHECK(fs::exists(folder / "out" / "good.sheet.png"));
  CHECK_FALSE(fs::exists(folder / "out" / "broken.sheet.png"));
  check_stands_alone(file_bytes(folder / "out.html"));
}

TEST_CASE("pictures: two networks side by side with the truth as a page") {
  const TemporaryFolder folder;
  fs::create_directory_symlink(trained_run(), folder / "other");
  run_well("psanet-predict", {"--compare", trained_run(), folder / "other", "--split", "val", "--limit", "2",
                              "--output", folder / "out", "--html", folder / "out.html", "--overlay", "0"});
  const std::string html = file_bytes(folder / "out.html");
  check_stands_alone(html);
  CHECK(count(html, "<figcaption>truth</figcaption>") == 2);
  CHECK(count(html, "<figcaption>other</figcaption>") == 2);
  size_t overlays = 0, maps = 0;
  for (const auto& entry : fs::directory_iterator(folder / "out")) {
    overlays += entry.path().filename().string().find("overlay") != std::string::npos;
    maps += entry.path().filename().string().find(".other.png") != std::string::npos;
  }
  CHECK(overlays == 0);
  CHECK(maps == 2);
}

TEST_CASE("pictures: a list names images and perhaps their labels") {
  const TemporaryFolder folder;
  data::write_png(folder / "a.png", data::Image(2, 2));
  data::write_png(folder / "b.png", data::Image(2, 2));
  std::ofstream(folder / "list.txt") << "a.png\nb.png a.png\n";
  const auto tasks = apps::tasks_of({(folder / "list.txt").string()});
  REQUIRE(tasks.size() == 2);
  CHECK(tasks[0].truth.empty());
  CHECK(tasks[1].truth == folder / "a.png");
  CHECK(tasks[1].name == "b");
  std::ofstream(folder / "list.txt") << "a.png\nc.png\n";
  CHECK_THROWS_WITH(apps::tasks_of({(folder / "list.txt").string()}),
                    Catch::Contains("list.txt, line 2: no such file: c.png"));
  std::ofstream(folder / "list.txt") << "\n";
  CHECK_THROWS_WITH(apps::tasks_of({(folder / "list.txt").string()}), Catch::Contains("the list has no images"));
  CHECK_THROWS_WITH(apps::tasks_of({(folder / "a.png").string(), (folder / "a.png").string()}),
                    Catch::Contains("another image is named a too"));
}

}  // namespace
}  // namespace psanet::tests
