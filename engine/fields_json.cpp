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

/// Passes fields of every type on to Derived::visit(name, value, doc).
template <class Derived>
class EachField : public Fields {
 public:
  void operator()(const char* name, bool& value, const char* doc) override { pass(name, value, doc); }
  void operator()(const char* name, int64_t& value, const char* doc) override { pass(name, value, doc); }
  void operator()(const char* name, double& value, const char* doc) override { pass(name, value, doc); }
  void operator()(const char* name, std::string& value, const char* doc) override { pass(name, value, doc); }
  void operator()(const char* name, Size2& value, const char* doc) override { pass(name, value, doc); }
  void operator()(const char* name, std::optional<int64_t>& value, const char* doc) override { pass(name, value, doc); }
  void operator()(const char* name, std::optional<double>& value, const char* doc) override { pass(name, value, doc); }
  void operator()(const char* name, std::vector<int64_t>& value, const char* doc) override { pass(name, value, doc); }
  void operator()(const char* name, std::vector<double>& value, const char* doc) override { pass(name, value, doc); }
  void operator()(const char* name, std::vector<std::string>& value, const char* doc) override {
    pass(name, value, doc);
  }

 private:
  template <class T>
  void pass(const char* name, T& value, const char* doc) {
    static_cast<Derived*>(this)->visit(name, value, doc);
  }
};

template <class T>
void read(const JsonReader& j, T& value) {
  if constexpr (std::is_same_v<T, bool>) value = j.boolean();
  if constexpr (std::is_same_v<T, int64_t>) value = j.integer();
  if constexpr (std::is_same_v<T, double>) value = j.number();
  if constexpr (std::is_same_v<T, std::string>) value = j.text();
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
class FieldsReader final : public EachField<FieldsReader> {
 public:
  FieldsReader(const json& object, const std::string& path) { push({object, path}); }

  template <class T>
  void visit(const char* name, T& value, const char*) {
    if (const auto j = find(name)) read(*j, value);
  }
  void choice(const char* name, int& value, std::span<const char* const> names, const char*) override {
    const auto j = find(name);
    if (!j) return;
    const auto found = std::find_if(names.begin(), names.end(), [&](const char* n) { return j->value() == n; });
    if (found == names.end()) j->wrong("one of " + joined(names));
    value = static_cast<int>(found - names.begin());
  }

  /// Every key of the current object must have been asked for.
  void check_unknown() const { levels_.back().object.only_keys(levels_.back().known); }

 protected:
  bool enter(const char* name, const char*) override {
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
template <class T>
ordered_json written(const std::optional<T>& value) {
  return value ? ordered_json(*value) : ordered_json(nullptr);
}

class Writer final : public EachField<Writer> {
 public:
  ordered_json take() { return std::move(levels_.front().second); }

  template <class T>
  void visit(const char* name, const T& value, const char*) {
    put(name, written(value));
  }
  void choice(const char* name, int& value, std::span<const char* const> names, const char*) override {
    put(name, names[static_cast<size_t>(value)]);
  }

 protected:
  bool enter(const char* name, const char*) override {
    levels_.emplace_back(name, ordered_json::object());
    return true;
  }
  void leave() override {
    auto [name, object] = std::move(levels_.back());
    levels_.pop_back();
    put(name.c_str(), std::move(object));
  }

 private:
  void put(const char* name, ordered_json value) { levels_.back().second[name] = std::move(value); }
  std::vector<std::pair<std::string, ordered_json>> levels_{{"", ordered_json::object()}};
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
template <class T>
TypeAndDefault documented(const std::optional<T>& value) {
  return {fmt::format("{} or null", kTypeName<T>), value ? fmt::format("{}", *value) : "null"};
}
template <class T>
TypeAndDefault documented(const std::vector<T>& value) {
  return {fmt::format("list of {}s", kTypeName<T>), fmt::format("[{}]", fmt::join(value, ", "))};
}

class Documenter final : public EachField<Documenter> {
 public:
  std::string take() { return std::move(text_); }

  template <class T>
  void visit(const char* name, const T& value, const char* doc) {
    row(name, documented(value), doc);
  }
  void choice(const char* name, int& value, std::span<const char* const> names, const char* doc) override {
    row(name, {joined(names), names[static_cast<size_t>(value)]}, doc);
  }

 protected:
  bool enter(const char* name, const char*) override {
    prefix_ += std::string(name) + ".";
    return true;
  }
  void leave() override {
    prefix_.pop_back();
    const size_t dot = prefix_.rfind('.');
    prefix_.resize(dot == std::string::npos ? 0 : dot + 1);
  }

 private:
  void row(const std::string& name, const TypeAndDefault& about, const std::string& doc) {
    if (text_.empty()) text_ = "| key | type | default | meaning |\n|---|---|---|---|\n";
    text_ += fmt::format("| `{}{}` | {} | {} | {} |\n", prefix_, name, about.first, about.second, doc);
  }

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
