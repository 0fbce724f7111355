// What a data set holds: how often each class occurs, how large the images are, what their pixels are like.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "data/dataset.h"
#include "data/image.h"
#include "data/parallel.h"
#include "data/samples.h"

namespace psanet::data {

struct DatasetStatistics {
  std::size_t images = 0;
  std::int64_t pixels = 0;                            ///< of labels
  std::int64_t ignored_pixels = 0;                    ///< without a class
  std::vector<std::int64_t> class_pixels;             ///< [classes]
  std::vector<std::int64_t> class_images;             ///< [classes] images with at least one pixel of the class
  std::map<std::pair<int, int>, std::int64_t> sizes;  ///< (height, width) -> images
  std::array<double, 3> mean{}, deviation{};          ///< of all pixels, R G B, 0..255

  /// Share of a class among the pixels that have a class, 0..1.
  double pixel_share(int c) const;
  double image_share(int c) const;  ///< share of the images that contain the class, 0..1
};

/// Reads every sample. Sums are whole numbers: the result is the same for any number of threads. DataError for files
/// that cannot be used.
DatasetStatistics collect_statistics(const Dataset& dataset, const std::vector<Sample>& samples, int threads,
                                     const ProgressCallback& progress = {});

/// A table for people, the commonest class first.
std::string statistics_table(const Dataset& dataset, const DatasetStatistics& statistics);
/// class,pixels,pixel_share,images,image_share in class order.
std::string statistics_csv(const Dataset& dataset, const DatasetStatistics& statistics);
std::string statistics_json(const Dataset& dataset, const DatasetStatistics& statistics, const std::string& split);
/// Shares of pixels and of images, the commonest class first, on a logarithmic scale.
Image statistics_chart(const Dataset& dataset, const DatasetStatistics& statistics, const std::string& split);

}  // namespace psanet::data
