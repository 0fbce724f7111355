// Cityscapes: leftImg8bit/<split>/<city>/*_leftImg8bit.png and gtFine/<split>/<city>/*_gtFine_labelIds.png. The 34
// labelIds become the 19 evaluated classes when a label is read (label_map of the description): no second copy.
#include <fmt/format.h>

#include "data/error.h"
#include "data/prepare/layout.h"

namespace psanet::data {
namespace {

namespace fs = std::filesystem;

constexpr const char* kImageEnding = "_leftImg8bit.png";
constexpr const char* kLabelEnding = "_gtFine_labelIds.png";

/// images/<city>/<name>_leftImg8bit.png -> labels/<city>/<name>_gtFine_labelIds.png
fs::path label_of(const fs::path& image, const fs::path& labels) {
  std::string name = image.filename().string();
  name.resize(name.size() - std::string(kImageEnding).size());
  return labels / image.parent_path().filename() / (name + kLabelEnding);
}

}  // namespace

FoundDataset find_cityscapes(const PrepareOptions& options) {
  const fs::path base = find_base("cityscapes", options.root, {"", "cityscapes", "Cityscapes"}, "leftImg8bit");
  const fs::path all_images =
      need_folder("cityscapes", base / "leftImg8bit", "unpack leftImg8bit_trainvaltest.zip there");
  const fs::path all_labels =
      need_folder("cityscapes", base / "gtFine",
                  is_folder(base / "gtCoarse")
                      ? "gtCoarse is there, but the fine annotations are wanted: unpack gtFine_trainvaltest.zip there"
                      : "unpack gtFine_trainvaltest.zip there");
  FoundDataset found;
  const struct {
    const char* split;
    std::size_t official;
  } splits[] = {{"train", 2975}, {"val", 500}};
  for (const auto& s : splits) {
    const fs::path images =
        need_folder("cityscapes", all_images / s.split, "unpack leftImg8bit_trainvaltest.zip there");
    const fs::path labels = need_folder("cityscapes", all_labels / s.split, "unpack gtFine_trainvaltest.zip there");
    const auto label_files = files_ending(labels, kLabelEnding, true);
    const auto train_ids = files_ending(labels, "_gtFine_labelTrainIds.png", true);
    if (label_files.empty() && !train_ids.empty()) {
      throw DataError(
          fmt::format("cityscapes: {} has labelTrainIds ({}) but no *{}; unpack gtFine_trainvaltest.zip: trainIds are "
                      "made while reading",
                      labels.string(), train_ids[0].filename().string(), kLabelEnding));
    }
    found.splits.push_back(pair_files(
        "cityscapes", s.split, s.official, files_ending(images, kImageEnding, true), label_files,
        [&](const fs::path& image) { return label_of(image, labels); }, options.partial, found.remarks));
  }
  if (options.partial && !is_folder(all_images / "test")) {
    found.remarks.push_back(fmt::format("no folder {}, so no list for the split test", (all_images / "test").string()));
    return found;
  }
  const fs::path test = need_folder("cityscapes", all_images / "test",
                                    "unpack leftImg8bit_trainvaltest.zip there, or give --partial to do without");
  found.splits.push_back(images_only("test", 1525, files_ending(test, kImageEnding, true)));
  return found;
}

}  // namespace psanet::data
