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

std::string joined(std::span<const char* const> names) {
  return fmt::format("{}", fmt::join(names.begin(), names.end(), ", "));
}

/// Reads one level of an object; nested objects push a level.
class FieldsReader final : public Fields {
 public:
  FieldsReader(const json& object, const std::string& path) { push({object, path}); }

  void operator()(const char* name, bool& value, const char*) override {
    if (const auto j = find(name)) value = j->boolean();
  }
  void operator()(const char* name, int64_t& value, const char*) override {
    if (const auto j = find(name)) value = j->integer();
  }
  void operator()(const char* name, double& value, const char*) override {
    if (const auto j = find(name)) value = j->number();
  }
  void operator()(const char* name, std::string& value, const char*) override {
    if (const auto j = find(name)) value = j->text();
  }
  void operator()(const char* name, Size2& value, const char*) override {
    const auto j = find(name);
    if (!j) return;
    if (j->value().is_array()) {
      if (j->value().size() != 2) j->wrong("a number or [height, width]");
      value = {j->with(j->value()[0]).integer(), j->with(j->value()[1]).integer()};
    } else {
      value.h = value.w = j->integer();
    }
  }
  void operator()(const char* name, std::optional<int64_t>& value, const char*) override {
    const auto j = find(name);
    if (!j) return;
    value.reset();
    if (j->value().is_null()) return;
    if (!j->value().is_number()) j->wrong("an integer or null");
    value = j->integer();
  }
  void operator()(const char* name, std::optional<double>& value, const char*) override {
    const auto j = find(name);
    if (!j) return;
    value.reset();
    if (j->value().is_null()) return;
    if (!j->value().is_number()) j->wrong("a number or null");
    value = j->number();
  }
  void operator()(const char* name, std::vector<int64_t>& value, const char*) override {
    list(name, value, "a list of integers", [](const JsonReader& item) { return item.integer(); });
  }
  void operator()(const char* name, std::vector<double>& value, const char*) override {
    list(name, value, "a list of numbers", [](const JsonReader& item) { return item.number(); });
  }
  void operator()(const char* name, std::vector<std::string>& value, const char*) override {
    list(name, value, "a list of strings", [](const JsonReader& item) { return item.text(); });
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
  template <class T, class Read>
  void list(const char* name, std::vector<T>& value, const char* like, Read read) {
    const auto j = find(name);
    if (!j) return;
    value.clear();
    for (const JsonReader& item : j->items(like)) value.push_back(read(item));
  }

  std::vector<Level> levels_;
};

class Writer final : public Fields {
 public:
  ordered_json take() { return std::move(levels_.front().second); }

  void operator()(const char* name, bool& value, const char*) override { put(name, value); }
  void operator()(const char* name, int64_t& value, const char*) override { put(name, value); }
  void operator()(const char* name, double& value, const char*) override { put(name, value); }
  void operator()(const char* name, std::string& value, const char*) override { put(name, value); }
  void operator()(const char* name, Size2& value, const char*) override {
    if (value.h == value.w) {
      put(name, value.h);
    } else {
      put(name, ordered_json::array({value.h, value.w}));
    }
  }
  void operator()(const char* name, std::optional<int64_t>& value, const char*) override {
    put(name, value ? ordered_json(*value) : ordered_json(nullptr));
  }
  void operator()(const char* name, std::optional<double>& value, const char*) override {
    put(name, value ? ordered_json(*value) : ordered_json(nullptr));
  }
  void operator()(const char* name, std::vector<int64_t>& value, const char*) override { put(name, value); }
  void operator()(const char* name, std::vector<double>& value, const char*) override { put(name, value); }
  void operator()(const char* name, std::vector<std::string>& value, const char*) override { put(name, value); }
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

class Documenter final : public Fields {
 public:
  std::string take() { return std::move(text_); }

  void operator()(const char* name, bool& value, const char* doc) override {
    row(name, "true, false", value ? "true" : "false", doc);
  }
  void operator()(const char* name, int64_t& value, const char* doc) override {
    row(name, "integer", fmt::format("{}", value), doc);
  }
  void operator()(const char* name, double& value, const char* doc) override {
    row(name, "number", fmt::format("{}", value), doc);
  }
  void operator()(const char* name, std::string& value, const char* doc) override {
    row(name, "string", fmt::format("\"{}\"", value), doc);
  }
  void operator()(const char* name, Size2& value, const char* doc) override {
    row(name, "integer or [h, w]",
        value.h == value.w ? fmt::format("{}", value.h) : fmt::format("[{}, {}]", value.h, value.w), doc);
  }
  void operator()(const char* name, std::optional<int64_t>& value, const char* doc) override {
    row(name, "integer or null", value ? fmt::format("{}", *value) : "null", doc);
  }
  void operator()(const char* name, std::optional<double>& value, const char* doc) override {
    row(name, "number or null", value ? fmt::format("{}", *value) : "null", doc);
  }
  void operator()(const char* name, std::vector<int64_t>& value, const char* doc) override {
    row(name, "list of integers", fmt::format("[{}]", fmt::join(value, ", ")), doc);
  }
  void operator()(const char* name, std::vector<double>& value, const char* doc) override {
    row(name, "list of numbers", fmt::format("[{}]", fmt::join(value, ", ")), doc);
  }
  void operator()(const char* name, std::vector<std::string>& value, const char* doc) override {
    row(name, "list of strings", fmt::format("[{}]", fmt::join(value, ", ")), doc);
  }
  void choice(const char* name, int& value, std::span<const char* const> names, const char* doc) override {
    row(name, joined(names), names[static_cast<size_t>(value)], doc);
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
  void row(const std::string& name, const std::string& type, const std::string& standard, const std::string& doc) {
    if (text_.empty()) text_ = "| key | type | default | meaning |\n|---|---|---|---|\n";
    text_ += fmt::format("| `{}{}` | {} | {} | {} |\n", prefix_, name, type, standard, doc);
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
