// Whole files in and out.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>
#include <vector>

namespace psanet::data {

/// All bytes of a file; DataError "cannot read ..." if there is no such readable regular file.
std::vector<std::uint8_t> read_file_bytes(const std::filesystem::path& path);

/// Writes to a temporary name beside `path`, syncs, renames: the file is whole or absent. DataError on failure.
void write_file_bytes(const std::filesystem::path& path, std::span<const std::uint8_t> bytes);
void write_file_text(const std::filesystem::path& path, std::string_view text);

/// The folder and those above it; DataError if they cannot be made.
void make_folder(const std::filesystem::path& folder);

}  // namespace psanet::data
