#include "engine/fields_json.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/json/reader.h"

namespace psanet {

using nlohmann::json;
using nlohmann::ordered_json;

namespace {

template <class T>
constexpr const char* kTypeName = std::is_same_v<T, bool>      ? "true, false"
                                  : std::is_same_v<T, int64_t> ? "integer"
                                  : std::is_same_v<T, double>  ? "number"
                                                               : "string";

std::string joined(std::span<const char* const> names) {
  return fmt::format("{}", fmt::join(names.begin(), names.end(), ", "));
}

void read(const JsonReader& j, bool& value) {
  value = j.boolean();
}
void read(const JsonReader& j, int64_t& value) {
  value = j.integer();
}
void read(const JsonReader& j, double& value) {
  value = j.number();
}
void read(const JsonReader& j, std::string& value) {
  value = j.text();
}
void read(const JsonReader& j, Choice& value) {
  const auto found = std::ranges::find_if(value.names, [&](const char* name) { return j.value() == name; });
  if (found == value.names.end()) j.wrong("one of " + joined(value.names));
  value.index = found - value.names.begin();
}
void read(const JsonReader& j, Size2& value) {
  const bool two = j.value().is_array();
  if (two && j.value().size() != 2) j.wrong("a number or [height, width]");
  value.h = (two ? j.with(j.value()[0]) : j).integer();
  value.w = (two ? j.with(j.value()[1]) : j).integer();
}
template <class T>
void read(const JsonReader& j, std::optional<T>& value) {
  value.reset();
  if (j.value().is_null()) return;
  if (!j.value().is_number()) j.wrong(std::is_integral_v<T> ? "an integer or null" : "a number or null");
  read(j, value.emplace());
}
template <class T>
void read(const JsonReader& j, std::vector<T>& value) {
  value.clear();
  for (const JsonReader& item : j.items(fmt::format("a list of {}s", kTypeName<T>))) read(item, value.emplace_back());
}

/// Reads one level of an object; nested objects push a level.
class FieldsReader final : public Fields {
 public:
  FieldsReader(const json& object, const std::string& path) { push({object, path}); }

  /// Every key of the current object must have been asked for.
  void check_unknown() const { levels_.back().object.only_keys(levels_.back().known); }

 protected:
  void visit(const char* name, FieldValue value, const char*) override {
    if (const auto j = find(name)) std::visit([&](auto* v) { read(*j, *v); }, value);
  }
  bool enter(const char* name) override {
    const auto j = find(name);
    if (j) push(*j);
    return j.has_value();
  }
  void leave() override {
    check_unknown();
    levels_.pop_back();
  }

 private:
  struct Level {
    JsonReader object;
    std::vector<std::string> known;
  };

  void push(const JsonReader& object) {
    if (!object.value().is_object()) object.wrong("an object {...}");
    levels_.push_back({object, {}});
  }
  std::optional<JsonReader> find(const char* name) {
    levels_.back().known.emplace_back(name);
    return levels_.back().object.find(name);
  }

  std::vector<Level> levels_;
};

template <class T>
ordered_json written(const T& value) {
  return value;
}
ordered_json written(const Size2& value) {
  return value.h == value.w ? ordered_json(value.h) : ordered_json::array({value.h, value.w});
}
ordered_json written(const Choice& value) {
  return value.names[static_cast<size_t>(value.index)];
}
template <class T>
ordered_json written(const std::optional<T>& value) {
  return value ? ordered_json(*value) : ordered_json(nullptr);
}

class Writer final : public Fields {
 public:
  ordered_json take() { return std::move(all_); }

 protected:
  void visit(const char* name, FieldValue value, const char*) override {
    (*open_.back())[name] = std::visit([](const auto* v) { return written(*v); }, value);
  }
  bool enter(const char* name) override {
    ordered_json& object = (*open_.back())[name];
    object = ordered_json::object();
    open_.push_back(&object);
    return true;
  }
  void leave() override { open_.pop_back(); }

 private:
  ordered_json all_ = ordered_json::object();
  std::vector<ordered_json*> open_{&all_};  // each in the one before
};

/// The type and the default of a field, as documentation has them.
using TypeAndDefault = std::pair<std::string, std::string>;
template <class T>
TypeAndDefault documented(const T& value) {
  return {kTypeName<T>, fmt::format("{}", value)};
}
TypeAndDefault documented(const std::string& value) {
  return {"string", fmt::format("\"{}\"", value)};
}
TypeAndDefault documented(const Size2& v) {
  return {"integer or [h, w]", v.h == v.w ? fmt::format("{}", v.h) : fmt::format("[{}, {}]", v.h, v.w)};
}
TypeAndDefault documented(const Choice& value) {
  return {joined(value.names), value.names[static_cast<size_t>(value.index)]};
}
template <class T>
TypeAndDefault documented(const std::optional<T>& value) {
  return {fmt::format("{} or null", kTypeName<T>), value ? fmt::format("{}", *value) : "null"};
}
template <class T>
TypeAndDefault documented(const std::vector<T>& value) {
  return {fmt::format("list of {}s", kTypeName<T>), fmt::format("[{}]", fmt::join(value, ", "))};
}

class Documenter final : public Fields {
 public:
  std::string take() { return std::move(text_); }

 protected:
  void visit(const char* name, FieldValue value, const char* doc) override {
    const auto [type, standard] = std::visit([](const auto* v) { return documented(*v); }, value);
    if (text_.empty()) text_ = "| key | type | default | meaning |\n|---|---|---|---|\n";
    text_ += fmt::format("| `{}{}` | {} | {} | {} |\n", prefix_, name, type, standard, doc);
  }
  bool enter(const char* name) override {
    prefix_ += std::string(name) + ".";
    return true;
  }
  void leave() override {
    prefix_.pop_back();
    const size_t dot = prefix_.rfind('.');
    prefix_.resize(dot == std::string::npos ? 0 : dot + 1);
  }

 private:
  std::string prefix_, text_;
};

}  // namespace

void read_fields(const json& object, const std::string& path, const FieldsFunction& visit) {
  FieldsReader reader(object, path);
  visit(reader);
  reader.check_unknown();
}

ordered_json write_fields(const FieldsFunction& visit) {
  Writer writer;
  visit(writer);
  return writer.take();
}

std::string document_fields(const FieldsFunction& visit) {
  Documenter documenter;
  visit(documenter);
  return documenter.take();
}

}  // namespace psanet
