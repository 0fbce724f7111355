#include "models/scalar.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "engine/json/text.h"

namespace psanet::models {

using nlohmann::json;

std::string show(const Scalar& value) {
  return shown(to_json(value));
}

Scalar to_scalar(const JsonReader& value) {
  switch (value.value().type()) {
    case json::value_t::null:
      return nullptr;
    case json::value_t::boolean:
      return value.boolean();
    case json::value_t::number_unsigned:
    case json::value_t::number_integer:
      if (value.value().is_number_unsigned() && value.value().get<uint64_t>() > uint64_t{INT64_MAX}) {
        value.wrong("an integer below 2^63");
      }
      return value.integer();
    case json::value_t::number_float:
      return value.number();
    case json::value_t::string:
      if (value.text().size() > kLongestText) {
        value.fail(fmt::format("a string of {} bytes, want at most {}", value.text().size(), kLongestText));
      }
      return value.text();
    default:
      value.fail(fmt::format("found {}, want a number, true, false, a string or null",
                             value.value().is_array() ? "a list" : "an object"));
  }
}

json to_json(const Scalar& value) {
  return std::visit([](const auto& v) { return json(v); }, value);
}

}  // namespace psanet::models
