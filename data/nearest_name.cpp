#include "data/nearest_name.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>

namespace psanet::data {
namespace {

/// Levenshtein distance: the fewest letters to insert, drop or change.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replace = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replace, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

}  // namespace

std::string suggestion(std::string_view mistyped, const std::vector<std::string_view>& valid) {
  std::string_view best;
  std::size_t best_distance = std::max<std::size_t>(2, mistyped.size() / 2);
  for (const std::string_view name : valid) {
    const std::size_t distance = edit_distance(mistyped, name);
    if (distance <= best_distance && (best.empty() || distance < best_distance)) {
      best = name;
      best_distance = distance;
    }
  }
  if (!best.empty()) return fmt::format("did you mean \"{}\"?", best);
  return fmt::format("known are: {}", fmt::join(valid, ", "));
}

std::string suggestion(std::string_view mistyped, const std::vector<std::string>& valid) {
  return suggestion(mistyped, std::vector<std::string_view>(valid.begin(), valid.end()));
}

}  // namespace psanet::data
