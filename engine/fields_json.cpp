#include "engine/fields_json.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <numeric>

namespace psanet {

using nlohmann::json;
using nlohmann::ordered_json;

namespace {

std::string shown(const json& value) {
  std::string text = value.dump();
  return text.size() <= 60 ? text : text.substr(0, 57) + "...";
}

std::string joined(std::span<const char* const> names) {
  return fmt::format("{}", fmt::join(names.begin(), names.end(), ", "));
}

/// Reads one level of an object; nested objects push a level.
class Reader final : public Fields {
 public:
  Reader(const json& object, const std::string& path) { push(object, path); }

  void operator()(const char* name, bool& value, const char*) override {
    if (const json* j = find(name)) {
      if (!j->is_boolean()) wrong(name, *j, "true or false");
      value = j->get<bool>();
    }
  }
  void operator()(const char* name, int64_t& value, const char*) override {
    if (const json* j = find(name)) value = integer(name, *j);
  }
  void operator()(const char* name, double& value, const char*) override {
    if (const json* j = find(name)) value = number(name, *j);
  }
  void operator()(const char* name, std::string& value, const char*) override {
    if (const json* j = find(name)) value = text(name, *j);
  }
  void operator()(const char* name, Size2& value, const char*) override {
    const json* j = find(name);
    if (!j) return;
    if (j->is_array()) {
      if (j->size() != 2) wrong(name, *j, "a number or [height, width]");
      value = {integer(name, (*j)[0]), integer(name, (*j)[1])};
    } else {
      value.h = value.w = integer(name, *j);
    }
  }
  void operator()(const char* name, std::optional<int64_t>& value, const char*) override {
    if (const json* j = find(name)) {
      value.reset();
      if (!j->is_null()) value = integer(name, *j, "an integer or null");
    }
  }
  void operator()(const char* name, std::optional<double>& value, const char*) override {
    if (const json* j = find(name)) {
      value.reset();
      if (!j->is_null()) value = number(name, *j, "a number or null");
    }
  }
  void operator()(const char* name, std::vector<int64_t>& value, const char*) override {
    if (const json* j = find(name)) {
      if (!j->is_array()) wrong(name, *j, "a list of integers");
      value.clear();
      for (size_t i = 0; i < j->size(); ++i) value.push_back(integer(item_name(name, i), (*j)[i]));
    }
  }
  void operator()(const char* name, std::vector<double>& value, const char*) override {
    if (const json* j = find(name)) {
      if (!j->is_array()) wrong(name, *j, "a list of numbers");
      value.clear();
      for (size_t i = 0; i < j->size(); ++i) value.push_back(number(item_name(name, i), (*j)[i]));
    }
  }
  void operator()(const char* name, std::vector<std::string>& value, const char*) override {
    if (const json* j = find(name)) {
      if (!j->is_array()) wrong(name, *j, "a list of strings");
      value.clear();
      for (size_t i = 0; i < j->size(); ++i) value.push_back(text(item_name(name, i), (*j)[i]));
    }
  }
  void choice(const char* name, int& value, std::span<const char* const> names, const char*) override {
    const json* j = find(name);
    if (!j) return;
    if (!j->is_string()) wrong(name, *j, "one of " + joined(names));
    auto found = std::find(names.begin(), names.end(), j->get<std::string>());
    if (found == names.end()) wrong(name, *j, "one of " + joined(names));
    value = static_cast<int>(found - names.begin());
  }

  /// Every key of the current object must have been asked for.
  void check_unknown() const {
    const Level& level = levels_.back();
    for (const auto& item : level.object->items()) {
      if (std::find(level.known.begin(), level.known.end(), item.key()) != level.known.end()) continue;
      const std::string like = nearest(item.key(), level.known);
      throw ConfigError(fmt::format("{}: unknown key \"{}\"{}; known keys: {}", level.path, item.key(),
                                    like.empty() ? "" : fmt::format(", did you mean \"{}\"?", like),
                                    level.known.empty() ? "none" : fmt::format("{}", fmt::join(level.known, ", "))));
    }
  }

 protected:
  bool enter(const char* name, const char*) override {
    const json* j = find(name);
    if (!j) return false;
    push(*j, levels_.back().path + "." + name);
    return true;
  }
  void leave() override {
    check_unknown();
    levels_.pop_back();
  }

 private:
  struct Level {
    const json* object;
    std::string path;
    std::vector<std::string> known;
  };

  void push(const json& object, const std::string& path) {
    if (!object.is_object())
      throw ConfigError(fmt::format("{}: found {}, want an object {{...}}", path, shown(object)));
    levels_.push_back({&object, path, {}});
  }
  const json* find(const char* name) {
    Level& level = levels_.back();
    level.known.emplace_back(name);
    auto it = level.object->find(name);
    return it == level.object->end() ? nullptr : &*it;
  }
  static std::string item_name(const char* name, size_t i) { return fmt::format("{}[{}]", name, i); }
  [[noreturn]] void wrong(const std::string& name, const json& found, const std::string& want) const {
    throw ConfigError(fmt::format("{}.{}: found {}, want {}", levels_.back().path, name, shown(found), want));
  }
  int64_t integer(const std::string& name, const json& j, const char* want = "an integer") const {
    if (j.is_number_float()) {  // 3.0 is an integer too
      const double value = j.get<double>();
      if (std::abs(value) < 0x1p53 && value == std::floor(value)) return static_cast<int64_t>(value);
    }
    const bool too_large = j.is_number_unsigned() && j.get<uint64_t>() > uint64_t{INT64_MAX};
    if (!j.is_number_integer() || too_large) wrong(name, j, want);
    return j.get<int64_t>();
  }
  double number(const std::string& name, const json& j, const char* want = "a number") const {
    if (!j.is_number()) wrong(name, j, want);
    return j.get<double>();
  }
  std::string text(const std::string& name, const json& j) const {
    if (!j.is_string()) wrong(name, j, "a string");
    return j.get<std::string>();
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
  Reader reader(object, path);
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

std::string nearest(const std::string& word, const std::vector<std::string>& candidates) {
  std::string best;
  size_t best_distance = word.size() / 2 + 1;  // farther than this is no likeness
  for (const std::string& candidate : candidates) {
    std::vector<size_t> row(candidate.size() + 1);
    std::iota(row.begin(), row.end(), size_t{0});
    for (size_t i = 0; i < word.size(); ++i) {
      size_t diagonal = row[0];
      row[0] = i + 1;
      for (size_t j = 0; j < candidate.size(); ++j) {
        const size_t substituted = diagonal + (word[i] == candidate[j] ? 0 : 1);
        diagonal = row[j + 1];
        row[j + 1] = std::min({substituted, row[j] + 1, row[j + 1] + 1});
      }
    }
    if (row.back() < best_distance) {
      best_distance = row.back();
      best = candidate;
    }
  }
  return best;
}

}  // namespace psanet
