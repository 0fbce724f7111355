// What is in a folder.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace psanet::data {

/// What cannot be looked at is not there.
bool is_there(const std::filesystem::path& path);
bool is_file(const std::filesystem::path& path);
bool is_folder(const std::filesystem::path& path);

/// The regular files of a folder (with `recursive`, also of the folders below) whose names end so, sorted.
std::vector<std::filesystem::path> files_ending(const std::filesystem::path& folder, const std::string& ending,
                                                bool recursive = false);

}  // namespace psanet::data
