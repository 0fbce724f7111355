// psanet-eval: scores a trained network on a split.
#include <fmt/format.h>

#include "apps/app.h"
#include "apps/evaluation.h"
#include "apps/network_source.h"
#include "engine/error.h"

int main(int argc, char** argv) {
  using namespace psanet;
  apps::App app(
      "psanet-eval",
      "Scores a trained network: mIoU, mean accuracy, pixel accuracy, a table of classes, the confusion matrix.");
  apps::NetworkOptions options;
  std::string split;
  std::filesystem::path folder;
  bool save_predictions = false;
  options.add_to(app);
  app.option("--split", split, "split to score (default: the recipe's val_split)");
  app.option("--output", folder, "folder for metrics.json, classes.csv, confusion.csv (default: <run>/evaluation)");
  app.flag("--save-predictions", save_predictions, "also writes the label maps into <output>/predictions");
  return app.run(argc, argv, [&] {
    apps::Network network(options, app.device());
    if (split.empty()) split = network.recipe.val_split;
    const auto samples = data::read_list(network.dataset, network.recipe.data_root, split);
    if (folder.empty() && !options.run_folder.empty())
      folder = std::filesystem::path(options.run_folder) / "evaluation";
    if (save_predictions && folder.empty()) throw ConfigError("--save-predictions needs --output");
    const auto scores =
        apps::evaluate([&](const data::Image& image) { return network.labels(image); }, network.dataset, samples, split,
                       save_predictions ? folder / "predictions" : std::filesystem::path());
    const std::string protocol = network.describe();
    fmt::print("{}{}\n", apps::class_table(network.dataset, scores), protocol);
    if (!folder.empty()) {
      apps::write_scores(folder, network.dataset, scores, protocol);
      fmt::print("written to {}\n", folder.string());
    }
  });
}
