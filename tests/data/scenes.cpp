// The generated street scenes: repeatable, plausible, and hard enough.
#include <array>
#include <cmath>
#include <stdexcept>

#include "data/codec.h"
#include "data/error.h"
#include "data/file_bytes.h"
#include "data/samples.h"
#include "data/scenes/scene.h"
#include "data/scenes/street.h"
#include "data/scenes/write_scenes.h"
#include "tests/data/made_up.h"
#include "tests/support/temporary_folder.h"

using namespace psanet::data;
using namespace psanet::tests;

namespace {

constexpr std::uint8_t id(SceneClass c) {
  return std::uint8_t(c);
}

/// Mean colour of the pixels of one class.
std::array<double, 3> mean_colour(const Scene& scene, SceneClass c) {
  std::array<double, 3> sum{};
  int count = 0;
  for (std::size_t i = 0; i < scene.label.labels.size(); ++i) {
    if (scene.label.labels[i] != id(c)) continue;
    for (std::size_t k = 0; k < 3; ++k) sum[k] += scene.image.pixels[i * 3 + k];
    ++count;
  }
  if (count == 0) return {-1, -1, -1};
  return {sum[0] / count, sum[1] / count, sum[2] / count};
}

}  // namespace

TEST_CASE("scenes are the same every time and differ with seed, split and index") {
  const Scene a = make_scene({}, 1, 0, 3), b = make_scene({}, 1, 0, 3);
  CHECK(a.image.pixels == b.image.pixels);
  CHECK(a.label.labels == b.label.labels);
  CHECK(a.image.pixels != make_scene({}, 2, 0, 3).image.pixels);
  CHECK(a.image.pixels != make_scene({}, 1, 1, 3).image.pixels);
  CHECK(a.image.pixels != make_scene({}, 1, 0, 4).image.pixels);
}

TEST_CASE("scenes show every class often enough to be learnt, and a few ignored pixels") {
  const Dataset dataset = load_dataset("scenes");
  REQUIRE(dataset.class_count() == kSceneClasses);
  CHECK(dataset.classes[id(SceneClass::open_road)].name == "open road");
  CHECK(dataset.classes[id(SceneClass::cycle_path)].name == "cycle path");
  std::array<int, 256> count{};
  constexpr int kScenes = 60;
  for (int i = 0; i < kScenes; ++i) {
    for (const std::uint8_t v : make_scene({}, 1, 0, std::uint32_t(i)).label.labels) ++count[v];
  }
  const double pixels = kScenes * 112.0 * 160;
  double known = 0;
  for (int c = 0; c < kSceneClasses; ++c) {
    INFO(dataset.classes[std::size_t(c)].name);
    CHECK(count[std::size_t(c)] / pixels > 0.012);
    CHECK(count[std::size_t(c)] / pixels < 0.5);
    known += count[std::size_t(c)];
  }
  CHECK(count[kIgnore] / pixels > 0.01);
  CHECK(count[kIgnore] / pixels < 0.10);
  CHECK(known + count[kIgnore] == pixels);
}

TEST_CASE("the two kinds of road, and of stripe, look the same, the board tells them apart") {
  // One street painted both ways: below, nothing changes but the label; above, the boards change colour.
  std::array<double, 3> open{}, closed{}, pavement{}, cycle{};
  int opens = 0, closeds = 0, pavements = 0, cycles = 0;
  const auto add = [](std::array<double, 3>& sum, int& n, const std::array<double, 3>& c) {
    if (c[0] < 0) return;
    for (std::size_t k = 0; k < 3; ++k) sum[k] += c[k];
    ++n;
  };
  for (std::uint32_t i = 0; i < 120; ++i) {
    const Scene scene = make_scene({}, 3, 0, i);
    add(open, opens, mean_colour(scene, SceneClass::open_road));
    add(closed, closeds, mean_colour(scene, SceneClass::closed_road));
    add(pavement, pavements, mean_colour(scene, SceneClass::pavement));
    add(cycle, cycles, mean_colour(scene, SceneClass::cycle_path));
  }
  CHECK(opens + closeds == 120);  // by default one state for both lanes
  CHECK(pavements + cycles == 120);
  CHECK(std::abs(opens - 60) < 20);
  CHECK(std::abs(pavements - 60) < 20);
  for (std::size_t k = 0; k < 3; ++k) {
    CHECK(std::abs(open[k] / opens - closed[k] / closeds) < 8);
    CHECK(std::abs(pavement[k] / pavements - cycle[k] / cycles) < 8);
  }
}

TEST_CASE("boards are whole, large, and far from most of the ground they decide") {
  for (std::uint32_t i = 0; i < 100; ++i) {
    KeyedRandom random(5, Purpose::scene, 0, i);
    const SceneConfig config;
    const Street s = draw_street(config, random);
    const double board_w = config.board_width_m * s.camera.focal_px / s.boards_z_m;
    const double board_h = config.board_height_m * s.camera.focal_px / s.boards_z_m;
    const double mast = config.mast_board_m * s.camera.focal_px / s.mast_z_m;
    CHECK(board_h >= 12);
    CHECK(board_w >= 20);
    CHECK(mast >= 20);
    const double mast_x = s.camera.x_of(s.mast_x_m, s.mast_z_m), mast_y = s.camera.y_of(s.mast_y_m, s.mast_z_m);
    CHECK((mast_x - mast / 2 >= 0 && mast_x + mast / 2 <= config.width));
    CHECK((mast_y - mast / 2 >= -1 && mast_y + mast / 2 < s.camera.horizon_y));
    const double board_y = s.camera.y_of(s.boards_y_m, s.boards_z_m);
    CHECK(board_y - board_h / 2 >= 0);
    CHECK(config.height - board_y > 85);  // from a board to the ground in front of us
  }
}

TEST_CASE("a scene set on disk is a dataset that can be read") {
  const TemporaryFolder folder;
  SceneSetConfig config;
  config.train = 3;
  config.val = 2;
  write_scenes(config, folder.path());
  const Dataset dataset = load_dataset("scenes");
  const auto train = read_list(dataset, folder.path(), "train"), val = read_list(dataset, folder.path(), "val");
  REQUIRE(train.size() == 3);
  REQUIRE(val.size() == 2);
  const LabelledImage sample = load_sample(dataset, train[1]);
  CHECK(sample.image.height == 112);
  CHECK(sample.image.width == 160);
  CHECK(sample.label.labels == make_scene({}, 1, 0, 1).label.labels);
  const auto bytes = read_file_bytes(val[1].image);
  write_scenes(config, folder.path());
  CHECK(read_file_bytes(val[1].image) == bytes);
}

TEST_CASE("impossible scene settings are refused") {
  const TemporaryFolder folder;
  SceneSetConfig config;
  config.train = 0;
  contains(message_of<std::invalid_argument>([&] { write_scenes(config, folder.path()); }), "0 training");
  config = {};
  config.scene.width = 10;
  contains(message_of<std::invalid_argument>([&] { write_scenes(config, folder.path()); }), "10 x 112");
  CHECK(std::filesystem::is_empty(folder.path()));
}
