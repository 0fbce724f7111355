// What the official layouts have in common: folders that must be there, images and labels that belong together.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "data/folder_files.h"
#include "data/prepare/prepare.h"

namespace psanet::data {

/// A split as it was found on disk.
struct FoundSplit {
  std::string split;
  std::size_t official = 0;                                                    ///< images of the official release
  std::vector<std::pair<std::filesystem::path, std::filesystem::path>> files;  ///< image, label (empty: none)
};

struct FoundDataset {
  std::vector<FoundSplit> splits;
  std::vector<std::string> remarks;
  std::function<void()> finish;  ///< makes label files that are listed but not there yet; may be empty
};

FoundDataset find_ade20k(const PrepareOptions& options);
FoundDataset find_voc2012(const Dataset& dataset, const PrepareOptions& options);
FoundDataset find_cityscapes(const PrepareOptions& options);
FoundDataset find_camvid(const PrepareOptions& options);

/// `folder` itself; DataError "<dataset>: no folder <folder>; <fix>" if it does not exist.
std::filesystem::path need_folder(const std::string& dataset, const std::filesystem::path& folder,
                                  const std::string& fix);

/// The first of `candidates` below `root` ("" is the root itself) that has the folder `mark`; `root` if none has.
/// DataError if the root is no folder.
std::filesystem::path find_base(const std::string& dataset, const std::filesystem::path& root,
                                const std::vector<std::string>& candidates, const std::string& mark);

/// Pairs images with the labels that `label_of` names for them. Images without label, and labels of `labels` without
/// image, are a DataError, or with `partial` a remark.
FoundSplit pair_files(const std::string& dataset, const std::string& split, std::size_t official,
                      const std::vector<std::filesystem::path>& images,
                      const std::vector<std::filesystem::path>& labels,
                      const std::function<std::filesystem::path(const std::filesystem::path&)>& label_of, bool partial,
                      std::vector<std::string>& remarks);

/// Images that need no labels.
FoundSplit images_only(const std::string& split, std::size_t official,
                       const std::vector<std::filesystem::path>& images);

}  // namespace psanet::data
