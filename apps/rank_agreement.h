// Do all ranks train the same?
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <set>
#include <string>

#include "engine/communicator.h"
#include "engine/parameters.h"

namespace psanet::apps {

/// Compares what every rank is about to do with what rank 0 is: the iteration it starts from, its run's state but for
/// the keys `may_differ`, and the values of its parameters. Ranks on several machines may have other files. ConfigError
/// on every rank if one differs; that one names the first differences. All ranks must call it.
void check_agreement(Communicator& ranks, int64_t start, const nlohmann::ordered_json& state,
                     const std::set<std::string>& may_differ, const Parameters& parameters);

}  // namespace psanet::apps
