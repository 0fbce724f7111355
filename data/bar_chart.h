// Bars on a logarithmic scale, one a class: shares differ by factors of thousands.
#pragma once

#include <string>
#include <vector>

#include "data/image.h"

namespace psanet::data {

struct Bar {
  std::string name;
  Rgb color;
  double value = 0;   ///< the wide bar; 0 has none
  double second = 0;  ///< a thin line below it; 0 has none
};

struct BarChart {
  std::string title;
  std::vector<std::string> subtitles;  ///< a line each
  std::string axis;                    ///< what the scale counts
  std::vector<Bar> bars;
  int bars_per_column = 50;  ///< more bars stand in columns side by side
};

/// Draws the bars from top to bottom. The scale is the same for all columns: from the power of ten below the smallest
/// value (at most six of them) to the one above the largest. DataError if there are no bars.
Image draw_bar_chart(const BarChart& chart);

}  // namespace psanet::data
