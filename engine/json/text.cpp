#include "engine/json/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

namespace psanet {

using nlohmann::json;

namespace {

constexpr size_t kMostShown = 60;

/// At most `most` bytes and "...", not through the middle of a character.
std::string cut(std::string text, size_t most) {
  if (text.size() <= most) return text;
  size_t end = most - 3;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return text.substr(0, end) + "...";
}

/// The beginning of `text` in quotes: enough of it to be cut at kMostShown.
std::string quoted(const std::string& text) {
  return json(text.substr(0, kMostShown + 8)).dump(-1, ' ', false, json::error_handler_t::replace);
}

/// Appends `value` to `text` until that has more bytes than are shown. The recursion ends there too: every level has
/// its bracket in the text.
template <class Json>
void append(const Json& value, std::string& text) {
  if (text.size() > kMostShown) return;
  if (value.is_string()) {
    text += quoted(value.template get_ref<const std::string&>());
  } else if (value.is_structured()) {
    const bool object = value.is_object();
    text += object ? '{' : '[';
    const char* separator = "";
    for (auto it = value.begin(); it != value.end() && text.size() <= kMostShown; ++it) {
      text += separator;
      if (object) text += quoted(it.key()) + ":";
      append(*it, text);
      separator = ",";
    }
    text += object ? '}' : ']';
  } else {
    text += value.is_discarded() ? "nothing" : value.dump();
  }
}

template <class Json>
std::string shown_value(const Json& value) {
  std::string text;
  append(value, text);
  return cut(std::move(text), kMostShown);
}

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

bool is_utf8(std::string_view text) {
  try {
    json(std::string(text)).dump();
    return true;
  } catch (const json::exception&) {
    return false;
  }
}

std::string printed(std::string_view text, size_t most) {
  const std::string dumped =
      json(std::string(text.substr(0, most + 8))).dump(-1, ' ', false, json::error_handler_t::replace);
  std::string plain;
  for (size_t i = 1; i + 1 < dumped.size(); ++i) {  // without the quotes, and those inside as they are
    if (dumped[i] == '\\' && (dumped[i + 1] == '"' || dumped[i + 1] == '\\')) ++i;
    plain += dumped[i];
  }
  return cut(std::move(plain), most);
}

std::string shown(const json& value) {
  return shown_value(value);
}
std::string shown(const nlohmann::ordered_json& value) {
  return shown_value(value);
}

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
