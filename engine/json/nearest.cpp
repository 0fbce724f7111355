#include "engine/json/nearest.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "engine/json/text.h"

namespace psanet {

namespace {

// Longer words are no slips of the pen, and comparing them would take quadratic time.
constexpr size_t kLongestWord = 80, kMostCandidates = 10000;
constexpr size_t kMostListed = 100;

/// The fewest letters to insert, drop or change.
size_t edit_distance(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i + 1;
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t substituted = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({substituted, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

}  // namespace

std::string nearest(const std::string& word, const std::vector<std::string>& candidates) {
  std::string best;
  if (word.size() > kLongestWord) return best;
  size_t best_distance = word.size() / 2 + 1;  // farther than this is no likeness
  for (size_t i = 0; i < std::min(candidates.size(), kMostCandidates); ++i) {
    const std::string& candidate = candidates[i];
    if (candidate.size() > kLongestWord) continue;
    if (const size_t distance = edit_distance(word, candidate); distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

std::string did_you_mean(const std::string& word, const std::vector<std::string>& candidates) {
  const std::string like = nearest(word, candidates);
  return like.empty() ? "" : fmt::format(", did you mean \"{}\"?", like);
}

std::string suggestion(const std::string& word, const std::vector<std::string>& candidates) {
  const std::string like = nearest(word, candidates);
  return like.empty() ? "known are: " + listed(candidates) : fmt::format("did you mean \"{}\"?", like);
}

std::string listed(const std::vector<std::string>& names) {
  if (names.empty()) return "none";
  std::string text;
  for (size_t i = 0; i < std::min(names.size(), kMostListed); ++i) text += (i ? ", " : "") + printed(names[i]);
  return names.size() <= kMostListed ? text : fmt::format("{} and {} more", text, names.size() - kMostListed);
}

}  // namespace psanet
