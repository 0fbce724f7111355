// The Semantic Boundaries Dataset (Hariharan et al., ICCV 2011): annotations of 11355 images of VOC, in MATLAB files.
#pragma once

#include <filesystem>
#include <set>
#include <string>

#include "data/dataset.h"
#include "data/prepare/prepare.h"

namespace psanet::data {

/// The folder with cls/, train.txt and val.txt: benchmark_RELEASE/dataset, or the folder itself. Empty if there is
/// none.
std::filesystem::path find_sbd(const std::filesystem::path& folder);

/// Image names of train.txt and val.txt of that folder.
std::set<std::string> sbd_names(const std::filesystem::path& sbd);

/// The annotation cls/<name>.mat as class indices.
LabelMap read_sbd_label(const std::filesystem::path& file, int classes);

/// Writes cls/<name>.mat of every name as palette PNG <folder>/<name>.png: all of them, or, if one cannot be read,
/// none.
void convert_sbd(const std::filesystem::path& sbd, const std::set<std::string>& names,
                 const std::filesystem::path& folder, const Dataset& dataset, const PrepareOptions& options);

}  // namespace psanet::data
