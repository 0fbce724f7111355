// psanet-visualize: what a network's point-wise spatial attention looks at (SPEC 8, Figure 6).
#include <fmt/format.h>

#include "apps/app.h"
#include "apps/attention_page.h"
#include "apps/attention_picture.h"
#include "apps/image_tasks.h"
#include "apps/network_source.h"
#include "apps/progress.h"
#include "data/codec.h"
#include "engine/atomic_file.h"
#include "engine/error.h"

namespace psanet::apps {
namespace {

struct VisualizeOptions {
  NetworkOptions network;
  std::vector<std::string> images;
  std::string points, split;
  int64_t limit = 8;
  std::filesystem::path output, html;
};

void visualize(const VisualizeOptions& o, const DeviceChoice& device) {
  if (o.images.empty() == o.split.empty()) throw ConfigError("want either --image or --split");
  if (o.points.empty() == o.html.empty()) {
    throw ConfigError("want either --points \"x,y;x,y\" for a picture or --html FILE for a page to explore");
  }
  std::vector<ImageTask> tasks;
  if (o.split.empty()) tasks = tasks_of(o.images, o.network.data_root);
  if (!o.points.empty() && tasks.size() != 1) {
    throw ConfigError(fmt::format("--points: found {} images, want one --image; --html takes many", tasks.size()));
  }
  // What can be wrong without a network is said before one is read.
  data::Image first;
  std::vector<ImagePoint> points;
  if (!o.points.empty()) {
    first = data::read_image(tasks[0].image);
    points = parse_points(o.points, first);
  }
  Network network(o.network, device);
  const Graph one = network.model.build({layers::Mode::eval, 1});
  models::ProtocolOptions placement = network.recipe.evaluation.protocol(network.model.input);
  placement.protocol = models::Protocol::semseg;  // whichever the run is scored by: one way to lay an image into a crop
  models::AttentionReader reader(network.device, one, network.parameters, placement);
  if (!o.points.empty()) {
    const std::filesystem::path output = o.output.empty() ? "attention.png" : o.output;
    data::write_png(output, attention_picture(reader, first, points));
    fmt::print("{} point{} of {} written to {}\n", points.size(), points.size() == 1 ? "" : "s",
               tasks[0].image.string(), output.string());
    return;
  }
  if (!o.split.empty()) tasks = tasks_of_split(network.dataset, network.recipe.data_root, o.split, o.limit);
  AttentionPage page(
      fmt::format("Attention of {}", o.network.run_folder.empty() ? network.recipe.model : o.network.run_folder));
  Progress progress("attention", static_cast<int64_t>(tasks.size()));
  for (size_t t = 0; t < tasks.size(); ++t) {
    const data::Image image = data::read_image(tasks[t].image);
    const data::FloatImage pixels(image);
    const models::FloatImageView view{pixels.height, pixels.width, pixels.pixels.data()};
    const models::Placement middle = reader.place(view, image.height / 2, image.width / 2);
    page.add(tasks[t].name, image, middle, reader.read(view, middle));
    progress.update(static_cast<int64_t>(t) + 1, tasks[t].name);
  }
  progress.finish();
  const std::string html = page.html();
  write_text_atomically(o.html, html);
  fmt::print("{} images written to {} ({:.1f} MB)\n", tasks.size(), o.html.string(),
             static_cast<double>(html.size()) / 1e6);
}

}  // namespace
}  // namespace psanet::apps

int main(int argc, char** argv) {
  using namespace psanet;
  apps::App app("psanet-visualize",
                "Shows what a PSANet attends to: for each point of an image, its collect and its distribute map.");
  apps::VisualizeOptions options;
  options.network.add_to(app);
  app.option("--image", options.images, "image files; with --html also folders and lists");
  app.option("--points", options.points, "points, in pixels of the image: \"x,y;x,y\"");
  app.option("--output", options.output, "PNG to write (default: attention.png)");
  app.option("--html", options.html, "page to write instead, in which any point can be chosen");
  app.option("--split", options.split, "images of a split of the dataset, instead of --image");
  app.option("--limit", options.limit, "at most this many images of the split (0: all)");
  return app.run(argc, argv, [&] { apps::visualize(options, app.device()); });
}
