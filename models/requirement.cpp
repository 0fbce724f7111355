#include "models/requirement.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "engine/error.h"
#include "engine/json/text.h"

namespace psanet::models {

namespace {

constexpr size_t kMostShown = 20;

/// The values that would do, each once.
std::vector<std::string> valid_values(const Requirement& requirement, const Names& lets) {
  std::vector<std::string> values;
  for (const std::string& text : requirement.valid) {
    if (values.size() == kMostShown) break;
    std::string value = is_expression(text) ? show(evaluate(text, requirement.where + ".valid", lets)) : text;
    if (std::find(values.begin(), values.end(), value) == values.end()) values.push_back(std::move(value));
  }
  return values;
}

Scalar condition(const Requirement& requirement, const Scalar& found, const Names& lets) {
  try {
    return evaluate(requirement.that, requirement.where + ".that", lets);
  } catch (const ConfigError& e) {  // such as null where only numbers make sense
    throw ConfigError(fmt::format("{}: found {}: {}", lets.where(requirement.of), show(found), e.what()));
  }
}

void check(const Requirement& requirement, const Names& lets) {
  const Scalar found = lets.get(requirement.of, requirement.where + ".of");
  const Scalar holds = condition(requirement, found, lets);
  const auto* truth = std::get_if<bool>(&holds);
  if (!truth) {
    throw ConfigError(fmt::format("{}.that: \"{}\" is {}, want a condition that is true or false", requirement.where,
                                  printed(requirement.that), show(holds)));
  }
  if (*truth) return;
  throw ConfigError(fmt::format("{}: found {}, want {}; valid: {}", lets.where(requirement.of), show(found),
                                fill_in(requirement.say, requirement.where + ".say", lets),
                                fmt::join(valid_values(requirement, lets), ", ")));
}

}  // namespace

void check_requirements(const ModelSource& source) {
  for (const Requirement& requirement : source.requirements) check(requirement, *source.lets);
}

}  // namespace psanet::models
