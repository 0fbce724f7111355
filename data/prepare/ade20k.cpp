// ADE20K as the MIT scene parsing benchmark hands it out (ADEChallengeData2016): images/ and annotations/, each with
// training/ and validation/. The full ADE20K is another release, with colours for thousands of names.
#include <fmt/format.h>

#include "data/error.h"
#include "data/prepare/layout.h"

namespace psanet::data {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFix =
    "the scene parsing benchmark (ADEChallengeData2016.zip) has images and annotations, each with training and "
    "validation";

/// A file that only the full release has, or nothing.
fs::path trace_of_full_release(const fs::path& root) {
  std::vector<fs::path> places = {root};
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(root, error)) {
    if (entry.path().filename().string().starts_with("ADE20K_20") && is_folder(entry.path()))
      places.push_back(entry.path());
  }
  for (const fs::path& place : places) {
    for (const char* name : {"index_ade20k.pkl", "index_ade20k.mat"}) {
      if (is_there(place / name)) return place / name;
    }
    // images/ADE/training/<kind>/<scene>/ in later releases, images/training/<letter>/<scene>/ in the first
    for (const char* folder : {"images/ADE", "images/training", "images/validation", "annotations/training"}) {
      if (!is_folder(place / folder)) continue;
      for (auto it = fs::recursive_directory_iterator(place / folder, error);
           !error && it != fs::recursive_directory_iterator(); it.increment(error)) {
        if (it->path().filename().string().ends_with("_seg.png")) return it->path();
      }
    }
  }
  return {};
}

}  // namespace

FoundDataset find_ade20k(const PrepareOptions& options) {
  const fs::path base = find_base("ade20k", options.root, {"ADEChallengeData2016", ""}, "annotations");
  if (const fs::path trace = trace_of_full_release(base); !trace.empty()) {
    throw DataError(
        fmt::format("ade20k: {} belongs to the full ADE20K release, whose labels are not the benchmark's 150 classes; "
                    "get the scene parsing benchmark, ADEChallengeData2016.zip",
                    trace.string()));
  }
  FoundDataset found;
  const struct {
    const char *split, *folder;
    std::size_t official;
  } splits[] = {{"train", "training", 20210}, {"val", "validation", 2000}};
  for (const auto& s : splits) {
    const fs::path images = need_folder("ade20k", base / "images" / s.folder, kFix),
                   labels = need_folder("ade20k", base / "annotations" / s.folder, kFix);
    found.splits.push_back(pair_files(
        "ade20k", s.split, s.official, files_ending(images, ".jpg"), files_ending(labels, ".png"),
        [&](const fs::path& image) { return labels / (image.stem().string() + ".png"); }, options.partial,
        found.remarks));
  }
  // The test images come in an archive of their own; training and validation do without.
  for (const fs::path& test :
       {options.root / "release_test" / "testing", base / "release_test" / "testing", base / "images" / "testing"}) {
    if (!is_folder(test)) continue;
    found.splits.push_back(images_only("test", 3352, files_ending(test, ".jpg")));
    return found;
  }
  found.remarks.push_back("no test images (release_test.zip), so no list for the split test");
  return found;
}

}  // namespace psanet::data
