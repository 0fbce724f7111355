#include "models/checkpoint_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <system_error>

#include "engine/error.h"

namespace psanet::models {

using nlohmann::ordered_json;

namespace {

/// Names of the folder's entries, in order; none if there is no folder.
std::vector<std::string> names_in(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    names.push_back(at->path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

/// Only what was named here is ever removed: an iteration in front, one of our endings behind.
bool is_ours(const std::string& name) {
  const size_t digits = std::min(name.find_first_not_of("0123456789"), name.size());
  return digits >= 9 &&
         (name.ends_with(".safetensors") || name.ends_with(".safetensors.tmp") || name.ends_with(".json.tmp"));
}

int64_t iteration_in(const std::string& name) {
  return std::stoll(name.substr(0, std::min<size_t>(name.find_first_not_of("0123456789"), 18)));
}

bool contains(const std::vector<int64_t>& rising, int64_t iteration) {
  return std::binary_search(rising.begin(), rising.end(), iteration);
}

/// "<path>: could not be <done>: <reason>" if the operation fails.
template <class Operation>
void attempt(const std::filesystem::path& path, const char* done, const Operation& operation) {
  try {
    operation();
  } catch (const std::system_error& e) {
    throw FileError(fmt::format("{}: could not be {}: {}", path.string(), done, e.code().message()));
  }
}

}  // namespace

bool larger_is_better(const std::string& metric) {
  return !metric.starts_with("loss");
}

CheckpointStore::CheckpointStore(std::filesystem::path folder, Retention retention, FileSystem& files)
    : folder_(std::move(folder)), retention_(std::move(retention)), files_(files) {}

std::vector<int64_t> CheckpointStore::iterations() const {
  std::vector<int64_t> iterations;
  for (const std::string& name : names_in(folder_)) {
    if (const int64_t iteration = iteration_of_manifest(name); iteration >= 0) iterations.push_back(iteration);
  }
  std::sort(iterations.begin(), iterations.end());
  return iterations;
}

bool CheckpointStore::empty() const {
  return iterations().empty();
}

void CheckpointStore::save(const Checkpoint& checkpoint) {
  attempt(folder_, "created", [&] {
    files_.make_folder(folder_);
    files_.sync_folder(folder_.parent_path());
  });
  // Leftovers first: they may be what fills the disk.
  const std::vector<int64_t> before = iterations();
  remove([&](const std::string& name) {
    return is_ours(name) && (name.ends_with(".tmp") || !contains(before, iteration_in(name)));
  });

  write_checkpoint(folder_, checkpoint, files_);

  // Manifests go before the tensors that they name, so none of them ever names what is gone.
  const std::vector<int64_t> known = iterations();
  const auto end = std::upper_bound(known.begin(), known.end(), checkpoint.iteration);
  const auto last = std::max<int64_t>(retention_.last, 1);
  std::set<std::string> stay;
  for (auto it = end - std::min<int64_t>(last, end - known.begin()); it != end; ++it) stay.insert(manifest_name(*it));
  remove([&](const std::string& name) { return iteration_of_manifest(name) > checkpoint.iteration; });
  if (const auto first = best(retention_.best_metric)) stay.insert(manifest_name(first->first));
  remove([&](const std::string& name) { return iteration_of_manifest(name) >= 0 && !stay.count(name); });
  std::set<std::string> named;
  std::vector<int64_t> unknown;
  for (const std::string& name : stay) {
    try {
      named.insert(read_manifest(folder_ / name).at("file"));
    } catch (const WeightsError&) {
      unknown.push_back(iteration_of_manifest(name));
    }
  }
  remove([&](const std::string& name) {
    return is_ours(name) && !named.count(name) && !contains(unknown, iteration_in(name));
  });
}

void CheckpointStore::add_metrics(int64_t iteration, const std::map<std::string, double>& metrics) {
  std::error_code none;
  if (std::filesystem::exists(manifest(iteration), none)) write_metrics(manifest(iteration), metrics, files_);
}

std::optional<Checkpoint> CheckpointStore::newest(const std::function<void(const std::string&)>& skipped) const {
  const std::vector<int64_t> known = iterations();
  std::optional<Checkpoint> found;
  for (auto it = known.rbegin(); it != known.rend() && !found; ++it) {
    try {
      found = read_checkpoint(manifest(*it));
    } catch (const WeightsError& e) {
      skipped(e.what());
    }
  }
  for (const std::string& name : names_in(folder_)) {
    if (!is_ours(name) || (found && iteration_in(name) <= found->iteration)) continue;
    if (!contains(known, iteration_in(name))) {
      skipped(fmt::format("{}: left by a save that was cut short", (folder_ / name).string()));
    }
  }
  return found;
}

std::optional<std::pair<int64_t, double>> CheckpointStore::best(const std::string& metric, int64_t up_to) const {
  std::optional<std::pair<int64_t, double>> result;
  if (metric.empty()) return result;
  const double sign = larger_is_better(metric) ? 1 : -1;
  for (const int64_t iteration : iterations()) {
    if (iteration > up_to) break;
    try {
      const ordered_json content = read_manifest(manifest(iteration));
      const ordered_json& metrics = content.at("metrics");
      if (!metrics.contains(metric)) continue;
      const double value = metrics.at(metric).get<double>();
      if (!result || sign * value > sign * result->second) result = {iteration, value};
    } catch (const WeightsError&) {
    }
  }
  return result;
}

void CheckpointStore::remove(const std::function<bool(const std::string&)>& goes) {
  bool removed = false;
  for (const std::string& name : names_in(folder_)) {
    if (!goes(name)) continue;
    attempt(folder_ / name, "removed", [&] { files_.remove(folder_ / name); });
    removed = true;
  }
  if (removed) attempt(folder_, "synced", [&] { files_.sync_folder(folder_); });
}

}  // namespace psanet::models
