// Figure 5 as a page: images, truths and predictions side by side, blended and named under the pointer.
#pragma once

#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/image.h"

namespace psanet::apps {

/// Gathers images and makes one page that stands alone: for each image a JPEG, for each label map a PNG of its
/// colours.
class PredictionPage {
 public:
  PredictionPage(std::string title, const data::Dataset& dataset) : title_(std::move(title)), dataset_(dataset) {}
  void add(const std::string& name, const data::Image& image, const std::vector<std::string>& titles,
           const std::vector<data::LabelMap>& maps);
  /// "#blend=70" behind the page's address sets the share of the colours in per cent.
  std::string html() const;

 private:
  std::string title_;
  const data::Dataset& dataset_;
  std::string rows_;
};

}  // namespace psanet::apps
