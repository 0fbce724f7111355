#include "data/folder_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <system_error>

#include "data/error.h"

namespace psanet::data {

namespace fs = std::filesystem;

bool is_there(const fs::path& path) {
  std::error_code error;
  return fs::exists(path, error);
}
bool is_file(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error);
}
bool is_folder(const fs::path& path) {
  std::error_code error;
  return fs::is_directory(path, error);
}

std::vector<fs::path> files_ending(const fs::path& folder, const std::string& ending, bool recursive) {
  std::vector<fs::path> files;
  std::error_code error;
  const auto add = [&](const fs::directory_entry& entry) {
    std::error_code ignored;
    if (entry.path().filename().string().ends_with(ending) && entry.is_regular_file(ignored))
      files.push_back(entry.path());
  };
  if (recursive) {
    for (auto it = fs::recursive_directory_iterator(folder, fs::directory_options::follow_directory_symlink, error);
         !error && it != fs::recursive_directory_iterator(); it.increment(error))
      add(*it);
  } else {
    for (auto it = fs::directory_iterator(folder, error); !error && it != fs::directory_iterator(); it.increment(error))
      add(*it);
  }
  if (error) throw DataError(fmt::format("cannot read the folder {}: {}", folder.string(), error.message()));
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace psanet::data
