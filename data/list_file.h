// The lines of a list file.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace psanet::data {

struct ListLine {
  int number = 0;                  ///< counts from 1
  std::vector<std::string> names;  ///< at least one
};

/// All lines but the empty ones, split at spaces, or at tabs where a line has one (names may hold spaces then).
std::vector<ListLine> read_list_lines(const std::filesystem::path& list);

/// What is wrong with a line, or "": one "image label" pair is wanted, an image alone only without `labels_required`.
std::string complaint_about(const ListLine& line, bool labels_required);

}  // namespace psanet::data
