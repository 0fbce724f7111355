#include "apps/run_checkpoints.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "apps/loss_watch.h"
#include "engine/error.h"
#include "models/checkpoint_fit.h"
#include "models/weights_file.h"

namespace psanet::apps {

using models::Checkpoint;
using nlohmann::ordered_json;

namespace {

constexpr char kFolder[] = "checkpoints";
constexpr char kWeights[] = "weights.safetensors";
constexpr char kBest[] = "best.safetensors";
constexpr char kGraph[] = "graph";  // the key of the state

/// The name of the first tensor with a NaN or an infinity, or "".
std::string first_non_finite(const Safetensors& file) {
  for (const auto& [name, tensor] : file.tensors) {
    if (tensor.dtype != "F32") continue;
    for (size_t at = 0; at < tensor.bytes.size(); at += sizeof(float)) {
      float value;
      std::memcpy(&value, tensor.bytes.data() + at, sizeof value);
      if (!std::isfinite(value)) return name;
    }
  }
  return "";
}

/// `object` with what it lacks: a checkpoint of an older program has no keys that came later.
ordered_json filled(ordered_json object, const ordered_json& defaults) {
  for (const auto& [key, value] : defaults.items()) {
    if (!object.contains(key)) {
      object[key] = value;
    } else if (value.is_object() && object.at(key).is_object()) {
      object[key] = filled(object.at(key), value);
    }
  }
  return object;
}

/// The differences below a key of the state.
std::vector<std::string> differences_of(const std::string& key, const ordered_json& was, const ordered_json& is) {
  const ordered_json none = ordered_json::object();
  return models::differences(was.value(key, none), is.value(key, none), {}, key);
}

void append(std::vector<std::string>& all, const std::vector<std::string>& more) {
  all.insert(all.end(), more.begin(), more.end());
}

}  // namespace

bool ResumeChoice::is_one(const std::string& text) {
  return text.empty() || text == "newest" || text == "auto" ||
         text.find_first_not_of("0123456789") == std::string::npos;
}

ResumeChoice ResumeChoice::parse(const std::string& text) {
  if (text.empty()) return {};
  if (text == "newest") return {Kind::newest};
  if (text == "auto") return {Kind::automatic};
  ResumeChoice choice{Kind::iteration};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), choice.iteration);
  if (error != std::errc() || !is_one(text)) {
    throw ConfigError(fmt::format("--resume: found \"{}\", want nothing, auto or an iteration", text));
  }
  return choice;
}

RunCheckpoints::RunCheckpoints(Options options)
    : options_(std::move(options)), store_(options_.run_folder / kFolder, options_.retention, *options_.files) {}

bool RunCheckpoints::holds_run() const {
  std::error_code none;
  return !store_.empty() || std::filesystem::exists(options_.run_folder / kWeights, none);
}

std::optional<int64_t> RunCheckpoints::resume(const ResumeChoice& choice, Parameters& parameters) {
  using Kind = ResumeChoice::Kind;
  if (!choice || (choice.kind == Kind::automatic && store_.empty())) return std::nullopt;
  std::optional<Checkpoint> found;
  if (choice.kind == Kind::iteration) {
    const auto known = store_.iterations();
    if (std::find(known.begin(), known.end(), choice.iteration) == known.end()) {
      throw WeightsError(fmt::format("{}: no checkpoint of iteration {}; there are {}", store_.folder().string(),
                                     choice.iteration,
                                     known.empty() ? "none" : fmt::format("{}", fmt::join(known, ", "))));
    }
    found = models::read_checkpoint(store_.manifest(choice.iteration));
  } else {
    found = store_.newest([&](const std::string& why) { options_.say("passed over: " + why); });
    if (!found) {
      throw WeightsError(fmt::format("{}: holds no {}checkpoint; start anew in another folder (--output)",
                                     store_.folder().string(), store_.empty() ? "" : "whole "));
    }
  }
  check_fit(*found, parameters);
  const std::string name = store_.manifest(found->iteration).string();
  models::load_weights(parameters, found->tensors, name, true);
  newest_ = found->iteration;
  return found->iteration;
}

void RunCheckpoints::check_fit(const Checkpoint& checkpoint, const Parameters& parameters) const {
  const ordered_json is = options_.state(checkpoint.iteration), was = filled(checkpoint.state, options_.defaults);
  const std::string name = store_.manifest(checkpoint.iteration).string();
  std::set<std::string> passed = options_.may_differ;
  passed.insert(options_.note_differences.begin(), options_.note_differences.end());
  passed.insert(kGraph);
  // A change of the recipe says more than what it does to tensors, and those more than all the nodes that follow.
  std::vector<std::string> differences = models::differences(was, is, passed), notes;
  append(differences, models::tensor_differences(checkpoint.tensors, parameters, name));
  append(differences, differences_of(kGraph, was, is));
  if (!differences.empty()) {
    throw ConfigError(
        fmt::format("{}: is of another run: {}; a new run (--output) can start from these weights (--weights {})", name,
                    models::first_few(differences), (options_.run_folder / kWeights).string()));
  }
  for (const std::string& key : options_.note_differences) append(notes, differences_of(key, was, is));
  if (!notes.empty()) {
    options_.say(fmt::format("note: {}; the last bits may come out different", models::first_few(notes)));
  }
}

void RunCheckpoints::save(const Parameters& parameters, int64_t iteration,
                          const std::map<std::string, double>& metrics) {
  Checkpoint checkpoint{iteration, models::to_file(parameters, iteration, true), options_.state(iteration), metrics};
  if (const std::string name = first_non_finite(checkpoint.tensors); !name.empty()) {
    throw TrainingDiverged(fmt::format("iteration {} is not saved: {} is not finite", iteration, name));
  }
  store_.save(checkpoint);
  newest_ = iteration;
}

void RunCheckpoints::save(const Parameters& parameters, int64_t iteration) {
  if (newest_ != iteration) save(parameters, iteration, {});
  write_safetensors(options_.run_folder / kWeights, models::to_file(parameters, iteration, false), *options_.files);
}

bool RunCheckpoints::try_save(const Parameters& parameters, int64_t iteration, const std::string& next_try) {
  try {
    save(parameters, iteration);
    return true;
  } catch (const FileError& e) {
    options_.say(fmt::format("warning: {}; training goes on, the next save is tried {}", e.what(), next_try));
  } catch (const TrainingDiverged& e) {
    options_.say(fmt::format("warning: {}", e.what()));
  }
  return false;
}

void RunCheckpoints::add_scores(const Parameters& parameters, int64_t iteration,
                                const std::map<std::string, double>& metrics) {
  const std::string& metric = options_.retention.best_metric;
  const auto value = metrics.find(metric);
  const auto best = store_.best(metric, iteration);
  const bool better =
      value != metrics.end() && std::isfinite(value->second) &&
      (!best || best->first == iteration ||
       (models::larger_is_better(metric) ? value->second > best->second : value->second < best->second));
  try {
    if (better) {
      write_safetensors(options_.run_folder / kBest, models::to_file(parameters, iteration, false), *options_.files);
    }
    if (newest_ == iteration) {
      store_.add_metrics(iteration, metrics);
    } else if (better) {
      save(parameters, iteration, metrics);
    }
  } catch (const FileError& e) {
    options_.say(
        fmt::format("warning: the scores of iteration {} are not kept with a checkpoint: {}", iteration, e.what()));
  } catch (const TrainingDiverged& e) {
    options_.say(fmt::format("warning: {}", e.what()));
  }
}

bool RunCheckpoints::has_scores(int64_t iteration) const {
  try {
    return !models::read_manifest(store_.manifest(iteration)).at("metrics").empty();
  } catch (const WeightsError&) {
    return false;
  }
}

}  // namespace psanet::apps
