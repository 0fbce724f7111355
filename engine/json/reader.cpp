#include "engine/json/reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "engine/json/text.h"

namespace psanet {

using nlohmann::json;

JsonReader::JsonReader(const json& value, std::string where, const JsonKind& kind)
    : value_(&value), where_(std::move(where)), members_(where_ + (kind.pointers ? "/" : ".")), kind_(kind) {}

JsonReader::JsonReader(const json& value, std::string where, std::string members, const JsonKind& kind)
    : value_(&value), where_(std::move(where)), members_(std::move(members)), kind_(kind) {}

JsonReader JsonReader::of_file(const json& value, const std::string& file) {
  return {value, file, file + ": "};
}

std::string JsonReader::where(const std::string& key) const {
  return members_ + printed(key);
}

JsonReader JsonReader::with(const json& value) const {
  return {value, where_, members_, kind_};
}

void JsonReader::fail(const std::string& what) const {
  kind_.raise(fmt::format("{}: {}", where_, what));
  throw std::logic_error("JsonKind::raise returned");
}

void JsonReader::wrong(const std::string& want) const {
  fail(fmt::format("found {}, {} {}", shown(*value_), kind_.pointers ? "wanted" : "want", want));
}

void JsonReader::only_keys(const std::vector<std::string>& known) const {
  if (!value_->is_object()) wrong("an object {...}");
  const std::set<std::string> names(known.begin(), known.end());
  for (const auto& item : value_->items()) {
    if (names.count(item.key())) continue;
    fail(fmt::format("unknown key \"{}\"{}; known keys: {}", printed(item.key()), did_you_mean(item.key(), known),
                     listed(known)));
  }
}

bool JsonReader::has(const std::string& key) const {
  return value_->contains(key);
}

std::optional<JsonReader> JsonReader::find(const std::string& key) const {
  const auto it = value_->find(key);
  if (it == value_->end()) return {};
  return JsonReader(*it, where(key), kind_);
}

JsonReader JsonReader::at(const std::string& key) const {
  if (!value_->is_object()) wrong("an object {...}");
  if (const auto member = find(key)) return *member;
  fail(fmt::format("the key \"{}\" is missing", key));
}

std::vector<std::pair<std::string, JsonReader>> JsonReader::members(const char* like) const {
  if (!value_->is_object()) wrong(like);
  std::vector<std::pair<std::string, JsonReader>> all;
  for (const auto& item : value_->items())
    all.emplace_back(item.key(), JsonReader(item.value(), where(item.key()), kind_));
  return all;
}

std::vector<std::pair<std::string, JsonReader>> JsonReader::members_of(const std::string& key) const {
  const auto member = find(key);
  return member ? member->members() : std::vector<std::pair<std::string, JsonReader>>{};
}

std::vector<JsonReader> JsonReader::items(const std::string& like) const {
  if (!value_->is_array()) wrong(like);
  std::vector<JsonReader> all;
  for (size_t i = 0; i < value_->size(); ++i) all.push_back(item(i));
  return all;
}

JsonReader JsonReader::item(size_t index) const {
  return {value_->at(index),
          kind_.pointers ? fmt::format("{}/{}", where_, index) : fmt::format("{}[{}]", where_, index), kind_};
}

bool JsonReader::boolean() const {
  if (!value_->is_boolean()) wrong("true or false");
  return value_->get<bool>();
}

int64_t JsonReader::integer(int64_t low, int64_t high) const {
  const bool from = low != std::numeric_limits<int64_t>::min(), to = high != std::numeric_limits<int64_t>::max();
  const std::string want = to     ? fmt::format("an integer from {} to {}", low, high)
                           : from ? fmt::format("an integer of at least {}", low)
                                  : "an integer";
  int64_t integer = 0;
  if (value_->is_number_float()) {  // 3.0 is an integer too
    const double number = value_->get<double>();
    if (!(std::abs(number) < 0x1p53) || number != std::floor(number)) wrong(want);
    integer = static_cast<int64_t>(number);
  } else {
    const bool too_large = value_->is_number_unsigned() && value_->get<uint64_t>() > uint64_t{INT64_MAX};
    if (!value_->is_number_integer() || too_large) wrong(want);
    integer = value_->get<int64_t>();
  }
  if (integer < low || integer > high) wrong(want);
  return integer;
}

double JsonReader::number() const {
  if (!value_->is_number()) wrong("a number");
  return value_->get<double>();
}

std::string JsonReader::text() const {
  if (!value_->is_string()) wrong("a string");
  return value_->get<std::string>();
}

std::string JsonReader::text_of(const std::string& key) const {
  const auto member = find(key);
  if (!member) return "";
  std::string text = member->text();
  if (text.empty()) member->wrong("a string");
  return text;
}

std::vector<std::string> JsonReader::texts_of(const std::string& key) const {
  std::vector<std::string> texts;
  const auto member = find(key);
  if (!member) return texts;
  for (const JsonReader& item : member->items("a list of strings")) {
    texts.push_back(item.text());
    if (texts.back().empty()) item.wrong("a string");
  }
  return texts;
}

}  // namespace psanet
