// What a disk may hold after a power cut in the middle of recorded file operations.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "tests/support/file_faults.h"

namespace psanet::tests {

/// Path -> content, of all files.
using DiskState = std::map<std::filesystem::path, std::string>;

/// Every state that the disk may be in when power goes after the first `count` operations that start from `disk` (all
/// of it durable). Bytes that were not synced are lost, half there, all there, or zeros, of all files alike; of names
/// that were made, renamed or removed in a folder that was not synced since, any subset may have become durable, in
/// whatever order.
std::vector<DiskState> states_after_power_cut(const DiskState& disk, const std::vector<FileOperation>& operations,
                                              size_t count);

/// The files under `root`; and the reverse, into an empty folder that files of `was` map to.
DiskState read_disk(const std::filesystem::path& root);
void write_disk(const DiskState& disk, const std::filesystem::path& was, const std::filesystem::path& root);

}  // namespace psanet::tests
