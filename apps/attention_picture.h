// Figure 6 of the paper: for points of an image, what a network's attention collects and distributes.
#pragma once

#include <string>
#include <vector>

#include "data/image.h"
#include "models/attention_maps.h"

namespace psanet::apps {

struct ImagePoint {
  int x = 0, y = 0;
};

/// "x,y;x,y" in pixels of the image. ConfigError for anything else and for a point outside.
std::vector<ImagePoint> parse_points(const std::string& text, const data::Image& image);

/// A sheet with a row for each point: the image with the point, and its map of every attention of the network as a heat
/// map over the image, with a colour bar. Small images are enlarged by a whole factor to at least 320 pixels.
data::Image attention_picture(models::AttentionReader& reader, const data::Image& image,
                              const std::vector<ImagePoint>& points);

}  // namespace psanet::apps
