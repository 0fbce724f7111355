// Finds what is wrong with a data set before a training stumbles over it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/parallel.h"

namespace psanet::data {

/// error: training or scoring would stop, or be wrong. warning: worth knowing.
enum class Severity { error, warning };

struct Problem {
  Severity severity = Severity::error;
  std::string kind;  ///< "missing file", "unreadable image", ...: what problems are counted by
  std::string split;
  int line = 0;      ///< of the split's list file; 0: not about one line
  std::string text;  ///< one line: the file, what was found, what to do
};

struct CheckedSplit {
  std::string split;
  std::filesystem::path list;
  std::size_t samples = 0;                 ///< lines of the list
  std::size_t good = 0;                    ///< samples without error
  std::int64_t pixels = 0;                 ///< of labels
  std::int64_t ignored_pixels = 0;         ///< without a class
  std::vector<std::int64_t> class_pixels;  ///< [classes]
};

struct CheckReport {
  std::vector<CheckedSplit> splits;
  std::vector<Problem> problems;  ///< by split and line; first those about a whole split
  std::size_t count(Severity severity) const;
};

struct CheckOptions {
  std::vector<std::string> splits;  ///< empty: all that the description names; "test" only if its list is there
  int threads = 0;
  ProgressCallback progress;
};

/// Reads every file of the splits. Errors: malformed lines, missing and undecodable files, labels that are no indices,
/// values that the label map does not cover, labels of another size, class indices where file values are wanted, an
/// image twice in a list or in two splits. Warnings: labels without any class, equal pictures under different names,
/// classes that never occur. DataError only for an unknown split and a root that is no folder. The report is the same
/// for any number of threads.
CheckReport check_dataset(const Dataset& dataset, const std::filesystem::path& root, const CheckOptions& options);

}  // namespace psanet::data
