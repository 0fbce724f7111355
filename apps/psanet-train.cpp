// psanet-train: trains a network by a recipe.
#include <fmt/format.h>

#include "apps/app.h"
#include "apps/evaluation.h"
#include "apps/training.h"

int main(int argc, char** argv) {
  using namespace psanet;
  CLI::App app("Trains a network by a recipe (apps/recipes) and leaves weights, scores and a log in a run folder.",
               "psanet-train");
  std::string name, data_root, weights;
  std::vector<std::string> overrides;
  apps::TrainingOptions options;
  apps::DeviceOptions device;
  app.add_option("recipe", name, "recipe file, the name of one of ours, or the folder of a run to repeat or resume")
      ->required();
  app.add_option("--output", options.run_folder, "run folder (default: runs/<recipe>)");
  app.add_option("--data-root", data_root, "folder of the dataset");
  app.add_option("--weights", weights, "safetensors file to start from");
  app.add_option("--set", overrides, "overrides: key=value, as batch=4 let.crop_h=113 augmentation.scale_min=1")
      ->take_all();
  app.add_flag("--resume", options.resume, "goes on where the run in the output folder stopped");
  app.add_flag("--trace", options.trace,
               "prints the first step node by node: times, shapes, the first non-finite value");
  device.add_to(app);
  return apps::run_app(app, argc, argv, [&] {
    if (!data_root.empty()) overrides.push_back("data_root=\"" + data_root + "\"");
    if (!weights.empty()) overrides.push_back("weights=\"" + weights + "\"");
    std::filesystem::path file(name);
    if (std::filesystem::is_directory(file)) {
      if (options.resume && options.run_folder.empty()) options.run_folder = file;
      file /= "recipe.json";
    } else {
      file = apps::find_recipe(name);
    }
    if (options.run_folder.empty()) options.run_folder = std::filesystem::path("runs") / file.stem();
    options.threads = device.threads;
    apps::train(apps::read_recipe(file, overrides), options);
    fmt::print("the run is in {}\n", options.run_folder.string());
  });
}
