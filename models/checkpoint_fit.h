// Does a checkpoint belong to the run that wants to go on from it? Names every difference.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <set>
#include <string>
#include <vector>

#include "engine/parameters.h"

namespace psanet::models {

/// "batch: was 16, is 8" for every value that differs; keys of nested objects are joined by dots
/// ("augmentation.scale_min"). Keys in `may_differ`, and those below them, are passed over. A key that is only in one
/// of the two counts as null. `path`: where both lie, if they are parts of something larger; it begins every key.
std::vector<std::string> differences(const nlohmann::ordered_json& was, const nlohmann::ordered_json& is,
                                     const std::set<std::string>& may_differ = {}, const std::string& path = "");

/// A graph in a form that differences() can tell apart: node name -> "op {attributes} of inputs -> types". Parameters
/// and states are left to tensor_differences().
nlohmann::ordered_json describe(const Graph& graph);

/// "parameter "cls.4.weight": was [21,512,1,1], is [19,512,1,1]" for every tensor of the checkpoint and of the
/// model that has no equal; counters of batch norms are passed over. `where` names the checkpoint.
std::vector<std::string> tensor_differences(const Safetensors& was, const Parameters& is, const std::string& where);

/// The first few, joined: "a; b; c; and 4 more".
std::string first_few(const std::vector<std::string>& differences);

}  // namespace psanet::models
