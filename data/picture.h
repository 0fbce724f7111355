// Pictures for people: coloured label maps and sheets that show images, truths and predictions side by side (SPEC 8).
#pragma once

#include <span>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/image.h"

namespace psanet::data {

/// Every label in its colour; kIgnore (and any value without a colour) in `ignore_color`.
Image colourise(const LabelMap& label, std::span<const Rgb> palette, Rgb ignore_color = {});
Image colourise(const LabelMap& label, const Dataset& dataset);

/// `top` over `bottom`, both of one size: 0 shows only the bottom, 1 only the top. DataError if the sizes differ.
Image overlay(const Image& bottom, const Image& top, double opacity = 0.5);

/// Every pixel becomes factor x factor.
Image enlarge(const Image& image, int factor);

struct LegendEntry {
  std::string name;
  Rgb color;
};

/// The classes that occur in the maps, in class order, and "ignored" if 255 does.
std::vector<LegendEntry> legend_of(const Dataset& dataset, std::span<const LabelMap> labels);

struct Sheet {
  std::string title;                       ///< above everything; may be empty
  std::vector<std::string> column_titles;  ///< one a column; may be empty
  std::vector<std::vector<Image>> rows;    ///< images of one row stand side by side
  std::vector<LegendEntry> legend;         ///< below; may be empty
  int least_panel_width = 320;             ///< smaller images are enlarged by a whole factor to at least this
};

/// Lays the sheet out on a light background. DataError if it has no image.
Image draw_sheet(const Sheet& sheet);

/// An image beside label maps of it in colour, each under its title, with the legend of the classes that occur (SPEC 8,
/// Figure 5). As many titles as maps.
Image label_sheet(const Dataset& dataset, const Image& image, const std::vector<std::string>& titles,
                  const std::vector<LabelMap>& maps);

}  // namespace psanet::data
