// Fields to and from JSON, and to documentation.
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "engine/error.h"
#include "engine/fields.h"

namespace psanet {

using FieldsFunction = std::function<void(Fields&)>;

/// Sets the fields that `object` names; the others keep their values. An unknown key, a wrong type or an unknown choice
/// is a ConfigError that names `path` + key, what was found and what is wanted (the nearest valid key).
void read_fields(const nlohmann::json& object, const std::string& path, const FieldsFunction& visit);

/// All fields, in order of their declaration.
nlohmann::ordered_json write_fields(const FieldsFunction& visit);

/// A Markdown table: key, type, default, meaning; rows of nested structs are written as `outer.inner`.
std::string document_fields(const FieldsFunction& visit);

template <class T>
void read_struct(const nlohmann::json& object, const std::string& path, T& value) {
  read_fields(object, path, [&](Fields& f) { value.fields(f); });
}
template <class T>
std::string document_struct(T value) {
  return document_fields([&](Fields& f) { value.fields(f); });
}

}  // namespace psanet
