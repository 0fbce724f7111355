#include "tests/apps/tiny_run.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "engine/error.h"
#include "models/checkpoint_store.h"
#include "tests/support/catch.h"

namespace psanet::tests {

TinyRun::TinyRun() : recipe_(folder_ / "recipe.json"), model_(folder_ / "model.json") {
  std::ofstream(model_) << R"({
    "about": "two convolutions",
    "let": {"classes": 9, "crop_h": 17, "crop_w": 17, "width": 8},
    "graph": [
      {"name": "layer0", "op": "conv2d", "out_channels": "$width", "kernel": 3, "padding": 1, "stride": 2},
      {"name": "norm", "op": "batch_norm"},
      {"name": "relu", "op": "relu"},
      {"name": "drop", "op": "dropout2d", "probability": 0.2},
      {"name": "cls", "op": "conv2d", "out_channels": "$classes", "kernel": 1, "bias": true},
      {"name": "logits", "op": "resize", "height": "$crop_h", "width": "$crop_w"}
    ],
    "outputs": {"logits": "logits"},
    "backbone": ["layer0"]
  })";
  const nlohmann::json recipe = {{"model", model_},
                                 {"dataset", "scenes"},
                                 {"data_root", tiny_scenes()},
                                 {"val_split", ""},
                                 {"batch", 2},
                                 {"iterations", 40},
                                 {"save_every", 1},
                                 {"keep_last", 1000},
                                 {"workers", 1},
                                 {"evaluation", {{"base_size", 0}, {"batch", 1}}}};
  std::ofstream(recipe_) << recipe;
}

std::vector<std::string> TinyRun::arguments(const std::string& run, const std::vector<std::string>& more) const {
  std::vector<std::string> all = {recipe_, "--output", folder(run), "--threads", "1"};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

std::filesystem::path manifest_of(const std::filesystem::path& run, int64_t iteration) {
  return run / "checkpoints" / models::manifest_name(iteration);
}

int64_t newest_of(const std::filesystem::path& run) {
  const models::CheckpointStore store(run / "checkpoints", {});
  int64_t newest = -1;
  for (int64_t iteration : store.iterations()) {
    INFO("iteration " << iteration);
    CHECK_NOTHROW(models::read_checkpoint(store.manifest(iteration)));
    newest = iteration;
  }
  return newest;
}

double worst_difference(const std::filesystem::path& manifest_a, const std::filesystem::path& manifest_b) {
  const models::Checkpoint a = models::read_checkpoint(manifest_a), b = models::read_checkpoint(manifest_b);
  REQUIRE(a.tensors.tensors.size() == b.tensors.tensors.size());
  double worst = 0;
  for (const auto& [name, tensor] : a.tensors.tensors) {
    const auto& other = b.tensors.at(name);
    REQUIRE(tensor.bytes.size() == other.bytes.size());
    const auto* x = reinterpret_cast<const float*>(tensor.bytes.data());
    const auto* y = reinterpret_cast<const float*>(other.bytes.data());
    double difference = 0, largest = 1e-6;
    for (size_t i = 0; i < tensor.bytes.size() / sizeof(float); ++i) {
      difference = std::max(difference, static_cast<double>(std::abs(x[i] - y[i])));
      largest = std::max(largest, static_cast<double>(std::abs(x[i])));
    }
    worst = std::max(worst, difference / largest);
  }
  return worst;
}

bool same_tensors(const std::filesystem::path& manifest_a, const std::filesystem::path& manifest_b) {
  const models::Checkpoint a = models::read_checkpoint(manifest_a), b = models::read_checkpoint(manifest_b);
  if (a.iteration != b.iteration || a.tensors.tensors.size() != b.tensors.tensors.size()) return false;
  for (const auto& [name, tensor] : a.tensors.tensors) {
    if (!b.tensors.contains(name) || tensor.bytes != b.tensors.at(name).bytes) return false;
  }
  return true;
}

}  // namespace psanet::tests
