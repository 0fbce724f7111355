#include "models/scalar.h"

#include <fmt/format.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "engine/error.h"

namespace psanet::models {

using nlohmann::json;

std::string show(const Scalar& value) {
  return to_json(value).dump();
}

Scalar to_scalar(const json& value, const std::string& where) {
  switch (value.type()) {
    case json::value_t::null:
      return std::monostate{};
    case json::value_t::boolean:
      return value.get<bool>();
    case json::value_t::number_unsigned:
      if (value.get<uint64_t>() > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
        throw ConfigError(fmt::format("{}: found {}, want an integer below 2^63", where, value.dump()));
      }
      return value.get<int64_t>();
    case json::value_t::number_integer:
      return value.get<int64_t>();
    case json::value_t::number_float:
      return value.get<double>();
    case json::value_t::string:
      return value.get<std::string>();
    default:
      throw ConfigError(fmt::format("{}: found {}, want a number, true, false, a string or null", where,
                                    value.is_array() ? "a list" : "an object"));
  }
}

json to_json(const Scalar& value) {
  return std::visit(
      [](const auto& v) -> json {
        if constexpr (std::is_same_v<std::decay_t<decltype(v)>, std::monostate>) {
          return nullptr;
        } else {
          return v;
        }
      },
      value);
}

}  // namespace psanet::models
