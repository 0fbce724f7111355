// psanet-predict: label maps and pictures from a trained network.
#include <fmt/format.h>

#include <memory>

#include "apps/app.h"
#include "apps/prediction_pictures.h"
#include "engine/error.h"

namespace psanet::apps {
namespace {

struct PredictOptions {
  NetworkOptions network;
  std::vector<std::string> images, compare;
  std::string split;
  int64_t limit = 0;
  PredictionOptions write{"predictions", "", 0.5};
};

void predict(const PredictOptions& o, const DeviceChoice& device) {
  if (o.images.empty() == o.split.empty()) throw ConfigError("want either image files or --split");
  if (!(o.write.overlay >= 0 && o.write.overlay <= 1)) {
    throw ConfigError(
        fmt::format("--overlay: found {}, want an opacity from 0 (no such pictures) to 1", o.write.overlay));
  }
  std::vector<ImageTask> tasks;
  if (o.split.empty()) tasks = tasks_of(o.images, o.network.data_root);
  std::vector<std::unique_ptr<Network>> networks;
  std::vector<Column> columns;
  const auto add = [&](const NetworkOptions& options, const std::string& title) {
    networks.push_back(std::make_unique<Network>(options, device));
    columns.push_back({title, networks.back().get()});
    if (networks.back()->dataset.names() != networks[0]->dataset.names())
      throw ConfigError(fmt::format("--compare: {} and {} have different classes", columns[0].title, title));
  };
  if (o.compare.empty()) add(o.network, "prediction");
  for (const std::string& run : o.compare) {
    NetworkOptions one = o.network;
    one.run_folder = run;
    std::filesystem::path folder = std::filesystem::path(run).lexically_normal();
    if (folder.filename().empty()) folder = folder.parent_path();
    add(one, folder.filename().string());
  }
  if (!o.split.empty()) {
    const Network& first = *networks[0];
    tasks = tasks_of_split(first.dataset, first.recipe.data_root, o.split, o.limit);
  }
  const int64_t count = write_predictions(columns, tasks, o.write);
  fmt::print("{} images written to {}; {}\n", count, o.write.folder.string(), networks[0]->describe());
  if (!o.write.html.empty()) fmt::print("page: {}\n", o.write.html.string());
}

}  // namespace
}  // namespace psanet::apps

int main(int argc, char** argv) {
  using namespace psanet;
  apps::App app("psanet-predict",
                "Predicts images: <name>.png holds class indices with the dataset's palette, <name>.overlay.png shows "
                "them over the image, <name>.sheet.png shows image | truth | prediction.");
  apps::PredictOptions options;
  app.option("images", options.images,
             "image files, folders of images, or lists (.txt: an image a line, and its label)");
  options.network.add_to(app, "--run");
  app.option("--compare", options.compare, "several run folders: one column each in the pictures");
  app.option("--split", options.split, "predicts a split of the dataset, with its truth, instead of files");
  app.option("--limit", options.limit, "at most this many images of the split (0: all)");
  app.option("--output", options.write.folder, "folder to write into (default: predictions)");
  app.option("--overlay", options.write.overlay, "opacity of the classes in <name>.overlay.png; 0: no such files");
  app.option("--html", options.write.html, "also writes a page with all images, to look at in a browser");
  return app.run(argc, argv, [&] { apps::predict(options, app.device()); });
}
