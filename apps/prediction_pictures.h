// Label maps and pictures of what networks see (SPEC 8, Figure 5).
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "apps/image_tasks.h"
#include "apps/network_source.h"
#include "data/samples.h"

namespace psanet::apps {

struct PredictionOptions {
  std::filesystem::path folder;  // written into
  std::filesystem::path html;    // a page of all images; empty: none
  double overlay = 0.5;          // opacity of the colours over the image; 0: no such pictures
};

/// An image beside label maps of it, each under its title.
struct TitledMaps {
  data::Image image;
  std::vector<std::string> titles;
  std::vector<data::LabelMap> maps;

  /// The image with its truth, if it has one. DataError if a file of the sample cannot be read.
  TitledMaps(const data::Dataset& dataset, const data::Sample& sample);
  void add(const std::string& title, const data::LabelMap& map);
};

/// A network and the name of its column.
struct Column {
  std::string title;
  Network* network = nullptr;
};

/// Writes for each task `<name>.png` (label indices with the dataset's palette, in the image's size),
/// `<name>.overlay.png` (the colours over the image) and `<name>.sheet.png` (image, truth if there is one, a column
/// each network, a legend); with several networks the first two are `<name>.<column>...`. An image or truth that cannot
/// be read is named, the others go on, and a DataError at the end says how many there were. Returns the number of
/// images predicted.
int64_t write_predictions(const std::vector<Column>& columns, const std::vector<ImageTask>& tasks,
                          const PredictionOptions& options);

}  // namespace psanet::apps
