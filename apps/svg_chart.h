// Curves as SVG, to stand in a page.
#pragma once

#include <string>
#include <vector>

namespace psanet::apps {

struct Curve {
  std::string name;
  std::vector<double> x, y;  // of equal length; x ascending; points that are not finite are left out
};

/// Over the iterations of a run.
struct Chart {
  std::string title;
  std::vector<Curve> curves;
  bool from_zero = false;  // the y axis begins at 0
};

/// Round numbers that divide [low, high] into at most `most` steps; the first is not above `low`, the last not below
/// `high`. {low, high} need not be in order or different.
std::vector<double> axis_ticks(double low, double high, int most);

/// An <svg> element, 640 x 260 units, that takes the page's width; a legend where there are several curves. Hovering
/// shows the values at the nearest x (script of chart_script()). Empty if no curve has a point.
std::string svg_chart(const Chart& chart);

/// The script that all charts of a page share.
std::string chart_script();

}  // namespace psanet::apps
