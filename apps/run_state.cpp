#include "apps/run_state.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "engine/crc32c.h"
#include "models/checkpoint_fit.h"

namespace psanet::apps {

using nlohmann::ordered_json;

namespace {

std::string checksum_of_names(const std::vector<data::Sample>& samples, const std::filesystem::path& root) {
  uint32_t checksum = 0;
  for (const data::Sample& sample : samples) {
    for (const std::filesystem::path& file : {sample.image, sample.label}) {
      const std::string name = file.lexically_relative(root).string() + "\n";
      checksum = crc32c(name.data(), name.size(), checksum);
    }
  }
  return fmt::format("{:08x}", checksum);
}

}  // namespace

ordered_json run_state(const Recipe& recipe, const data::Dataset& dataset, const models::Model& model,
                       const std::vector<data::Sample>& train_samples, const Device& device, int ranks,
                       int64_t iterations) {
  ordered_json classes = ordered_json::array();
  for (const data::ClassInfo& c : dataset.classes) classes.push_back(c.name);
  const int64_t done = iterations * recipe.accumulate;
  const int64_t batches = std::max<int64_t>(static_cast<int64_t>(train_samples.size()) / recipe.batch, 1);
  return {{"recipe", recipe.to_json()},
          {"dataset",
           {{"classes", dataset.class_count()},
            {"class_names", classes},
            {"train_samples", train_samples.size()},
            {"train_sample_names_crc32c", checksum_of_names(train_samples, recipe.data_root)}}},
          {"ranks_averaged", recipe.mean_of_ranks ? ranks : 1},
          {"graph", models::describe(model.build({layers::Mode::train, recipe.batch}))},
          {"counters",
           {{"seed", recipe.seed},
            {"dropout_step", done},
            {"loader_epoch", done / batches},
            {"loader_batch_of_epoch", done % batches}}},
          {"made_by",
           {{"psanet", PSANET_VERSION},
            {"device", device.describe()},
            {"precision", name(device.precision())},
            {"ranks", ranks}}}};
}

const std::set<std::string>& may_differ_between_ranks() {
  static const std::set<std::string> keys = {"recipe.about",   "recipe.data_root", "recipe.weights",
                                             "recipe.workers", "recipe.cache_mb",  "made_by.device"};
  return keys;
}

const std::set<std::string>& may_change_on_resume() {
  static const std::set<std::string> keys = {"recipe.about",
                                             "recipe.data_root",
                                             "recipe.workers",
                                             "recipe.cache_mb",
                                             "recipe.save_every",
                                             "recipe.keep_last",
                                             "recipe.save_best",
                                             "recipe.train_scores",
                                             "recipe.evaluation.every",
                                             "recipe.evaluation.batch",
                                             "recipe.evaluation.samples"};
  return keys;
}

}  // namespace psanet::apps
