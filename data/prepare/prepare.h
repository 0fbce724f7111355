// From a data set as its authors hand it out to the list files that training reads (SPEC 7).
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/parallel.h"

namespace psanet::data {

struct PrepareOptions {
  std::filesystem::path root;  ///< the data root: list files are written below it and name files relative to it
  std::filesystem::path sbd;   ///< where the SBD annotations are (VOC 2012); empty: below the root
  bool partial = false;        ///< an incomplete copy is used as it is instead of refused
  bool overwrite = false;      ///< list files with other contents are replaced instead of refused
  int threads = 0;             ///< for converting annotations; 0: as many as the process may use
  ProgressCallback progress;   ///< of converting annotations
};

struct PreparedSplit {
  std::string split;
  std::filesystem::path list;
  std::size_t samples = 0, official = 0;
};

struct PrepareReport {
  std::vector<PreparedSplit> splits;
  std::vector<std::string> remarks;  ///< one line each: what is incomplete, was left out or made
};

/// The datasets that prepare_dataset() knows the layout of.
std::vector<std::string> preparable_datasets();

/// Writes the list files that the description of `dataset` names, after everything has been looked at: nothing is
/// written if anything is wrong. DataError for an unknown dataset, a missing folder, another release, images without
/// labels and the other way round, and other numbers of images than the official release has; the last two only
/// without `partial`.
PrepareReport prepare_dataset(const Dataset& dataset, const PrepareOptions& options);

}  // namespace psanet::data
