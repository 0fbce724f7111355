// psanet-scenes: makes the street scene dataset of the demo.
#include <fmt/format.h>

#include <algorithm>

#include "apps/app.h"
#include "data/scenes/write_scenes.h"

namespace {

/// To int; what is out of range stays out of the range that write_scenes accepts.
int clamped(std::int64_t value) {
  return int(std::clamp<std::int64_t>(value, -1, 1 << 30));
}

}  // namespace

int main(int argc, char** argv) {
  using namespace psanet;
  apps::App app("psanet-scenes",
                "Makes a dataset of street scenes whose classes need long-range context (docs/data.md); use it with "
                "--dataset scenes.");
  std::filesystem::path folder;
  data::SceneSetConfig config;
  std::int64_t train = config.train, val = config.val, seed = 1, height = config.scene.height,
               width = config.scene.width;
  app.option("--output", folder, "folder to write: images/, labels/, lists/");
  app.require("--output");
  app.option("--train", train, "training images", 1);
  app.option("--val", val, "validation images", 1);
  app.option("--seed", seed, "another seed makes other scenes");
  app.option("--height", height, "pixels", 48);
  app.option("--width", width, "pixels", 64);
  app.option("--noise", config.scene.noise, "standard deviation of the sensor noise, grey levels");
  app.option("--split-lanes", config.scene.split_lanes_probability, "how often the two lanes have states of their own");
  return app.run(argc, argv, [&] {
    config.train = clamped(train);
    config.val = clamped(val);
    config.scene.height = clamped(height);
    config.scene.width = clamped(width);
    config.seed = static_cast<std::uint64_t>(seed);
    data::write_scenes(config, folder);
    fmt::print("{} training and {} validation scenes of {} x {} pixels in {}\n", train, val, width, height,
               folder.string());
  });
}
