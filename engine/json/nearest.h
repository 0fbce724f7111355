// "Did you mean": the valid name nearest to a mistyped one, and lists of names that stay one line.
#pragma once

#include <string>
#include <vector>

namespace psanet {

/// The candidate that is most like `word` (edit distance), or "" if none is near.
std::string nearest(const std::string& word, const std::vector<std::string>& candidates);

/// `, did you mean "classes"?`, or "" if no candidate is near.
std::string did_you_mean(const std::string& word, const std::vector<std::string>& candidates);

/// `did you mean "classes"?` if one is near, else "known are: ...".
std::string suggestion(const std::string& word, const std::vector<std::string>& candidates);

/// "a, b, c", of many the first and how many more; "none" of none.
std::string listed(const std::vector<std::string>& names);

}  // namespace psanet
