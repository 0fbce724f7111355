// What a checkpoint says of its run beside the tensors: enough to refuse another one, and to place every random draw.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <set>
#include <string>
#include <vector>

#include "apps/recipe.h"
#include "data/samples.h"
#include "engine/device.h"

namespace psanet::apps {

/// The run after `iterations` steps:
///   recipe    resolved
///   dataset   classes by name, number and checksum of the training samples (names relative to data_root)
///   ranks_averaged  with mean_of_ranks: the number of ranks, which the loss then depends on; else 1
///   graph     the model's nodes in training mode, before any pass
///   counters  what random draws are keyed by: seed, dropout step, the loader's epoch and place in it
///   made_by   program version, device, precision, number of ranks
nlohmann::ordered_json run_state(const Recipe& recipe, const data::Dataset& dataset, const models::Model& model,
                                 const std::vector<data::Sample>& train_samples, const Device& device, int ranks,
                                 int64_t iterations);

/// Keys of run_state() that may differ between the ranks of a run.
const std::set<std::string>& may_differ_between_ranks();

/// Keys of run_state() that a resumed run may have changed: they have no influence on a bit of the result.
const std::set<std::string>& may_change_on_resume();

}  // namespace psanet::apps
