// Values, strings and names of files and command lines as messages show them: one line, short, in UTF-8 whatever they
// hold; and "did you mean": the valid name nearest to a mistyped one.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace psanet {

/// Whether `text` is UTF-8 without overlong forms and surrogates.
bool is_utf8(std::string_view text);

/// `text` without control characters and invalid bytes (as \n, \u0001, U+FFFD), cut after `most` bytes with "...".
std::string printed(std::string_view text, size_t most = 60);

/// A value as JSON has it, cut after 60 bytes with "..."; takes no more time and memory than what is shown needs.
std::string shown(const nlohmann::json& value);
std::string shown(const nlohmann::ordered_json& value);

/// The candidate that is most like `word` (edit distance), or "" if none is near.
std::string nearest(const std::string& word, const std::vector<std::string>& candidates);

/// `, did you mean "classes"?`, or "" if no candidate is near.
std::string did_you_mean(const std::string& word, const std::vector<std::string>& candidates);

/// `did you mean "classes"?` if one is near, else "known are: ...".
std::string suggestion(const std::string& word, const std::vector<std::string>& candidates);

/// "a, b, c", of many the first and how many more; "none" of none.
std::string listed(const std::vector<std::string>& names);

}  // namespace psanet
