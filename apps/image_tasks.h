// Which images a program works on: files, folders, lists, a split.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace psanet::apps {

/// One image; the truth may be empty.
struct ImageTask {
  std::filesystem::path image, truth;
  std::string name;  // of the files written: the image's without its ending
};

/// Files, folders (all images in them, sorted by name) and lists (text files ending in .txt: an image a line, or an
/// image and its label; relative to `root` if it is given and holds the image, else to the list's folder). ConfigError
/// for a path that is not there, an empty folder or list, or when two images would write the same file.
std::vector<ImageTask> tasks_of(const std::vector<std::string>& paths, const std::filesystem::path& root = {});

/// The first `limit` samples of a split (0: all).
std::vector<ImageTask> tasks_of_split(const data::Dataset& dataset, const std::filesystem::path& root,
                                      const std::string& split, int64_t limit);

}  // namespace psanet::apps
