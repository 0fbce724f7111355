#include "models/resolved.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace psanet::models {

using nlohmann::json;

json resolved(const json& value, const std::string& where, const Scope& scope) {
  if (value.is_string() && is_expression(value.get_ref<const std::string&>())) {
    return to_json(evaluate(value.get_ref<const std::string&>(), where, scope));
  }
  if (!value.is_array()) return value;
  scope.spend(4 * value.size(), where);
  json list = json::array();
  for (const json& item : value) list.push_back(resolved(item, fmt::format("{}[{}]", where, list.size()), scope));
  return list;
}

}  // namespace psanet::models
