#include "data/prepare/layout.h"

#include <fmt/format.h>

#include <set>

#include "data/error.h"

namespace psanet::data {

namespace fs = std::filesystem;

fs::path need_folder(const std::string& dataset, const fs::path& folder, const std::string& fix) {
  if (!is_folder(folder)) throw DataError(fmt::format("{}: no folder {}; {}", dataset, folder.string(), fix));
  return folder;
}

fs::path find_base(const std::string& dataset, const fs::path& root, const std::vector<std::string>& candidates,
                   const std::string& mark) {
  need_folder(dataset, root, "--root wants the folder that holds the data set");
  for (const std::string& candidate : candidates) {
    const fs::path base = candidate.empty() ? root : root / candidate;
    if (is_folder(base / mark)) return base;
  }
  return root;
}

FoundSplit pair_files(const std::string& dataset, const std::string& split, std::size_t official,
                      const std::vector<fs::path>& images, const std::vector<fs::path>& labels,
                      const std::function<fs::path(const fs::path&)>& label_of, bool partial,
                      std::vector<std::string>& remarks) {
  std::set<fs::path> unused(labels.begin(), labels.end());
  FoundSplit found{split, official, {}};
  std::vector<fs::path> lonely;
  for (const fs::path& image : images) {
    const fs::path label = label_of(image);
    if (unused.erase(label) > 0) {
      found.files.emplace_back(image, label);
    } else {
      lonely.push_back(image);
    }
  }
  std::string what;
  if (!lonely.empty()) {
    what = fmt::format("{} images without a label ({} has no {})", lonely.size(), lonely[0].string(),
                       label_of(lonely[0]).string());
  }
  if (!unused.empty()) {
    what += fmt::format("{}{} labels without an image ({})", what.empty() ? "" : " and ", unused.size(),
                        unused.begin()->string());
  }
  if (what.empty()) return found;
  if (!partial) {
    throw DataError(
        fmt::format("{}: {}: {}; copy what is missing, or give --partial to leave them out", dataset, split, what));
  }
  remarks.push_back(fmt::format("{}: left out {}", split, what));
  return found;
}

FoundSplit images_only(const std::string& split, std::size_t official, const std::vector<fs::path>& images) {
  FoundSplit found{split, official, {}};
  for (const fs::path& image : images) found.files.emplace_back(image, fs::path());
  return found;
}

}  // namespace psanet::data
