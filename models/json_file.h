// JSON from a file, with errors of one line.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace psanet::models {

/// Reads a JSON file; // and /* */ comments are allowed, the same key twice in an object is not. Throws ConfigError.
nlohmann::json read_json_file(const std::filesystem::path& file);

/// A short form of a value for "found ...".
std::string shown(const nlohmann::json& value);

/// `object` must be an object with no other keys than `known`; `where` is its JSON path.
void check_keys(const nlohmann::json& object, const std::string& where, const std::vector<std::string>& known);

/// Members by type. `where` is the path of the object ("file: " for the whole file); a missing key gives "" or an empty
/// list.
std::string text_of(const nlohmann::json& object, const std::string& key, const std::string& where);
std::vector<std::string> texts_of(const nlohmann::json& object, const std::string& key, const std::string& where);

}  // namespace psanet::models
