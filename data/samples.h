// From list files to decoded samples.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/image.h"

namespace psanet::data {

/// One line of a list file.
struct Sample {
  std::filesystem::path image;
  std::filesystem::path label;  ///< empty in a list without labels
};

/// DataError if `root` is no folder.
void require_root(const Dataset& dataset, const std::filesystem::path& root);

/// Reads the list of a split (SPEC 7): one "image label" pair a line (separated by a space or a tab), paths relative to
/// `root`; empty lines are skipped. The split "test" may have lines with an image alone. DataError with file and line
/// for malformed lines and empty lists, and one that names the first few if listed files do not exist.
std::vector<Sample> read_list(const Dataset& dataset, const std::filesystem::path& root, const std::string& split);

/// The same for any list file.
std::vector<Sample> read_list_file(const std::filesystem::path& list, const std::filesystem::path& root,
                                   bool labels_required);

/// File values to classes, in place; DataError naming value, file and first position if the dataset has no such value.
void apply_label_map(const Dataset& dataset, LabelMap& label, const std::filesystem::path& file);

/// Decodes a label file and applies the dataset's label map: values are 0..classes-1 or kIgnore.
LabelMap load_label(const Dataset& dataset, const std::filesystem::path& path);

struct LabelledImage {
  Image image;
  LabelMap label;  ///< [0, 0] if the sample has none
};

/// Decodes both files of a sample; DataError if their sizes differ.
LabelledImage load_sample(const Dataset& dataset, const Sample& sample);

}  // namespace psanet::data
