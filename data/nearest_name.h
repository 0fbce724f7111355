// "Did you mean": the valid name nearest to a mistyped one.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace psanet::data {

/// "did you mean \"classes\"?" if one is near, else "known are: ...".
std::string suggestion(std::string_view mistyped, const std::vector<std::string>& valid);
std::string suggestion(std::string_view mistyped, const std::vector<std::string_view>& valid);

}  // namespace psanet::data
