// Figure 6 as a page: whoever points at an image sees what attention collects and distributes there.
#pragma once

#include <string>
#include <vector>

#include "data/image.h"
#include "models/attention_maps.h"

namespace psanet::apps {

/// Gathers images and makes one page that stands alone. Of every attention all maps are in the page, each as 8-bit
/// shares between its own smallest and largest value: P * P bytes for P positions, a third more as text (30 x 30
/// positions: 1.1 MB for each branch of each image).
class AttentionPage {
 public:
  explicit AttentionPage(std::string title) : title_(std::move(title)) {}
  /// What the crop around the image's middle shows is explored; an image that fits the crop is seen whole.
  void add(const std::string& name, const data::Image& image, const models::Placement& placement,
           const std::vector<models::Attention>& attentions);
  /// The page. "#image=2&x=40&y=30" behind its address shows that point of the third image.
  std::string html() const;

 private:
  std::string title_;
  std::vector<std::string> entries_;  // JSON, one an image
};

}  // namespace psanet::apps
