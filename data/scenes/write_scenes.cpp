#include "data/scenes/write_scenes.h"

#include <fmt/format.h>

#include <stdexcept>

#include "data/codec.h"
#include "data/dataset.h"
#include "data/error.h"
#include "data/file_bytes.h"
#include "data/scenes/scene.h"

namespace psanet::data {
namespace {

void require(bool good, const std::string& what) {
  if (!good) throw std::invalid_argument("scenes: " + what);
}

void check(const SceneSetConfig& c) {
  require(c.train > 0 && c.val > 0,
          fmt::format("{} training and {} validation images, wanted at least one each", c.train, c.val));
  require(c.train <= 1000000 && c.val <= 1000000,
          fmt::format("{} training and {} validation images, wanted at most 1000000 each", c.train, c.val));
  const SceneConfig& s = c.scene;
  require(s.height >= 48 && s.width >= 64 && s.height <= 4096 && s.width <= 4096,
          fmt::format("images of {} x {} (width x height), wanted 64 x 48 to 4096 x 4096", s.width, s.height));
  require(s.cars_min >= 0 && s.cars_max >= s.cars_min,
          fmt::format("{} to {} cars, wanted 0 <= min <= max", s.cars_min, s.cars_max));
  require(s.trees_min >= 0 && s.trees_max >= s.trees_min,
          fmt::format("{} to {} trees, wanted 0 <= min <= max", s.trees_min, s.trees_max));
  require(s.noise >= 0, fmt::format("noise {}, wanted 0 or more", s.noise));
}

std::string write_split(const SceneSetConfig& config, const std::filesystem::path& root, const std::string& split,
                        std::uint32_t number, int count, std::span<const Rgb> palette) {
  make_folder(root / "images" / split);
  make_folder(root / "labels" / split);
  std::string list;
  for (int i = 0; i < count; ++i) {
    const Scene scene = make_scene(config.scene, config.seed, number, std::uint32_t(i));
    const std::string image = fmt::format("images/{}/{:04}.jpg", split, i),
                      label = fmt::format("labels/{}/{:04}.png", split, i);
    write_jpeg(root / image, scene.image, 92);
    write_label_png(root / label, scene.label, palette);
    list += fmt::format("{} {}\n", image, label);
  }
  return list;
}

}  // namespace

void write_scenes(const SceneSetConfig& config, const std::filesystem::path& root) {
  check(config);
  const Dataset dataset = load_dataset("scenes");
  const std::vector<Rgb> palette = dataset.file_palette();
  const std::string train = write_split(config, root, "train", 0, config.train, palette);
  const std::string val = write_split(config, root, "val", 1, config.val, palette);
  make_folder(root / "lists");
  write_file_text(root / "lists" / "train.txt", train);
  write_file_text(root / "lists" / "val.txt", val);
}

}  // namespace psanet::data
