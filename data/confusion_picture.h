// A confusion matrix as a heat map.
#pragma once

#include <span>
#include <string>

#include "data/image.h"
#include "data/metrics.h"

namespace psanet::data {

/// Rows are truths, divided by their pixels, so that a cell is the share of a class that was predicted as another
/// (columns); a row without pixels is grey. Class names and percentages stand where there is room, else every tenth
/// class's index. Colours go with the square root of the share, so that small confusions show; the bar says which.
/// `names`: one a class. `caption` stands below.
Image draw_confusion(const ConfusionMatrix& scores, std::span<const std::string> names, const std::string& title,
                     const std::string& caption);

}  // namespace psanet::data
