// psanet-predict: label maps and pictures from a trained network.
#include <fmt/format.h>

#include "apps/app.h"
#include "apps/prediction_pictures.h"
#include "engine/error.h"

int main(int argc, char** argv) {
  using namespace psanet;
  apps::App app("psanet-predict",
                "Predicts images: <name>.png holds class indices with the dataset's palette, <name>.sheet.png shows "
                "image | truth | prediction.");
  apps::NetworkOptions options;
  std::vector<std::string> images, compare;
  std::string split;
  std::filesystem::path folder = "predictions";
  int64_t limit = 0;
  app.option("images", images, "image files, or folders of images");
  options.add_to(app, "--run");
  app.option("--compare", compare, "several run folders: one column each in the pictures");
  app.option("--split", split, "predicts a split of the dataset, with its truth, instead of files");
  app.option("--limit", limit, "at most this many images of the split (0: all)");
  app.option("--output", folder, "folder to write into (default: predictions)");
  return app.run(argc, argv, [&] {
    if (images.empty() == split.empty()) throw ConfigError("want either image files or --split");
    std::vector<std::unique_ptr<apps::Network>> owned;
    std::vector<apps::Network*> networks;
    std::vector<std::string> columns;
    if (compare.empty()) {
      owned.push_back(std::make_unique<apps::Network>(options, app.device()));
      columns.emplace_back("prediction");
    }
    for (const std::string& run : compare) {
      apps::NetworkOptions one = options;
      one.run_folder = run;
      owned.push_back(std::make_unique<apps::Network>(one, app.device()));
      columns.push_back(std::filesystem::path(run).filename().string());
    }
    for (const auto& network : owned) {
      if (network->dataset.class_count() != owned[0]->dataset.class_count())
        throw ConfigError("--compare: the runs have different classes");
      networks.push_back(network.get());
    }
    const auto tasks = split.empty() ? apps::tasks_of(images) : apps::tasks_of_split(*networks[0], split, limit);
    apps::write_predictions(networks, columns, tasks, folder);
    fmt::print("{} images written to {}\n", tasks.size(), folder.string());
  });
}
