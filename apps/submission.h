// Archives of predictions for the test servers of ADE20K, PASCAL VOC 2012 and Cityscapes.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "data/archive.h"
#include "data/dataset.h"
#include "data/samples.h"

namespace psanet::apps {

/// What a server wants.
struct SubmissionFormat {
  std::string name;  // "ade20k", "voc2012", "cityscapes": also the dataset's
  data::ArchiveFormat archive;
  std::string folder;         // inside the archive, with its last slash
  std::string strip, append;  // an image's name without its extension, less `strip` at its end, plus `append`
  bool palette = false;       // PNGs with the dataset's palette; else grey
  int height = 0, width = 0;  // of every image; 0: each its own

  /// The archive's name for the prediction of an image.
  std::string entry_of(const std::filesystem::path& image) const;
};

/// ConfigError naming the known ones.
SubmissionFormat submission_format(const std::string& name);

/// A finished archive against the list of images: a DataError of one line for the first image that is missing or twice
/// there, name that is nobody's, PNG that has another size than its image, a value that the server does not know, or
/// another palette. Messages call the archive `shown`, if that is not empty.
void check_submission(const SubmissionFormat& format, const data::Dataset& dataset,
                      const std::vector<data::Sample>& samples, const std::filesystem::path& archive,
                      const std::string& shown = "");

/// Writes an archive that has passed check_submission(), or none.
class SubmissionWriter {
 public:
  /// ConfigError if the dataset is not the server's.
  SubmissionWriter(SubmissionFormat format, const data::Dataset& dataset, std::vector<data::Sample> samples,
                   const std::filesystem::path& archive);
  /// Class indices of one image, at its size.
  void add(const data::Sample& sample, const data::LabelMap& prediction);
  /// Checks what was written and gives it its name.
  void finish();

 private:
  SubmissionFormat format_;
  const data::Dataset& dataset_;
  std::vector<data::Sample> samples_;
  data::ArchiveWriter archive_;
  std::filesystem::path path_;
  std::vector<data::Rgb> palette_;
};

}  // namespace psanet::apps
