// psanet-train: trains a network by a recipe.
#include <fmt/format.h>

#include "apps/app.h"
#include "apps/rank_options.h"
#include "apps/training.h"
#include "engine/error.h"
#include "engine/json/file.h"

int main(int argc, char** argv) {
  using namespace psanet;
  apps::App app("psanet-train",
                "Trains a network by a recipe (apps/recipes) and leaves weights, scores and a log in a run folder.");
  std::string name, data_root, weights, resume;
  bool deterministic = true, keys = false;
  std::vector<std::string> overrides;
  apps::TrainingOptions options;
  app.option("recipe", name, "recipe file, the name of one of ours, or the folder of a run to repeat or resume");
  app.option("--output", options.run_folder, "run folder (default: runs/<recipe>)");
  app.option("--data-root", data_root, "folder of the dataset");
  app.option("--weights", weights, "safetensors file to start from");
  app.assignments("--set", overrides,
                  "overrides: key=value, as batch=4 let.crop_h=113 augmentation.scale_min=1; --keys lists the keys");
  app.flag("--keys", keys, "prints every key of a recipe with its default and meaning (docs/training.md), and ends");
  app.option("--resume", resume, "newest",
             "goes on from the newest whole checkpoint of the output folder; auto: if there is any, else from the "
             "start; N: from that of iteration N");
  app.option("--stop-after", options.stop_after, "saves and stops after this many iterations; --resume goes on");
  app.flag("--trace", options.trace, "prints the first step node by node: times, shapes, the first non-finite value");
  app.option("--timeline", options.timeline,
             "file for the timeline of the third step, what ran when, as a Chrome trace (Perfetto shows it)");
  app.flag("--deterministic", deterministic,
           "two runs give the same bits: always so, on processors (with the same --threads) and on GPUs of one kind; "
           "there is nothing faster to turn on instead");
  apps::RankOptions ranks;
  ranks.add_to(app);
  app.add_device();
  int code = 0;
  const int own_code = app.run(argc, argv, [&] {
    if (keys) {
      fmt::print("{}", apps::document_recipe());
      return;
    }
    if (name.empty() && !apps::ResumeChoice::is_one(resume)) {  // "--resume RUN": that was meant as the recipe
      name = resume;
      resume = "newest";
    }
    if (name.empty()) throw ConfigError("recipe is missing: a file, the name of one of ours, or the folder of a run");
    if (!data_root.empty()) overrides.push_back(string_setting("data_root", data_root));
    if (!weights.empty()) overrides.push_back(string_setting("weights", weights));
    if (!deterministic) throw ConfigError("--deterministic: cannot be turned off; there is nothing faster to turn on");
    options.resume = apps::ResumeChoice::parse(resume);
    std::filesystem::path file(name);
    if (std::error_code none; std::filesystem::is_directory(file, none)) {
      if (options.resume && options.run_folder.empty()) options.run_folder = file;
      file /= "recipe.json";
    } else {
      file = apps::find_recipe(name);
    }
    if (options.run_folder.empty()) options.run_folder = std::filesystem::path("runs") / file.stem();
    options.device = app.device();
    if (!options.device.precision.empty()) overrides.push_back(string_setting("precision", options.device.precision));
    const apps::Recipe recipe = apps::read_recipe(file, overrides);
    options.device.precision = psanet::name(recipe.precision);
    const apps::RankStart start = apps::start_ranks(ranks, options.device, argv);
    code = start.launched.value_or(0);
    if (start.launched) return;
    options.ranks = start.joined;
    options.collective_limit = ranks.limit();
    start.run([&] { apps::train(recipe, options); });
    fmt::print("the run is in {}\n", options.run_folder.string());
  });
  return own_code != 0 ? own_code : code;
}
