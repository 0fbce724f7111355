#include "models/json_file.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "engine/error.h"
#include "engine/fields_json.h"

namespace psanet::models {

using nlohmann::json;

namespace {

/// nlohmann's message without the "[json.exception...]" in front.
std::string plain_message(const json::exception& e) {
  const std::string text = e.what();
  const size_t end = text.find("] ");
  return end == std::string::npos ? text : text.substr(end + 2);
}

/// Fails on the second of two equal keys, of which the parser would silently keep one.
class DuplicateKeys {
 public:
  explicit DuplicateKeys(std::string file) : file_(std::move(file)) {}

  bool operator()(json::parse_event_t event, const json& parsed) {
    if (event == json::parse_event_t::object_start) {
      open_.emplace_back();
    } else if (event == json::parse_event_t::object_end) {
      open_.pop_back();
    } else if (event == json::parse_event_t::key && !open_.back().insert(parsed.get<std::string>()).second) {
      throw ConfigError(fmt::format("{}: the key {} stands twice in one object, want it once", file_, parsed.dump()));
    }
    return true;
  }

 private:
  std::string file_;
  std::vector<std::set<std::string>> open_;
};

/// The path of a member; the path of a whole file ends in ": ".
std::string member(const std::string& where, const std::string& key) {
  return where.size() >= 2 && where.compare(where.size() - 2, 2, ": ") == 0 ? where + key : where + "." + key;
}

}  // namespace

json read_json_file(const std::filesystem::path& file) {
  std::error_code ignored;
  std::ifstream stream(file);
  if (!stream || std::filesystem::is_directory(file, ignored)) {
    throw ConfigError(fmt::format("{}: cannot read this file, want a JSON file", file.string()));
  }
  DuplicateKeys duplicates(file.string());
  try {
    return json::parse(
        stream, [&](int, json::parse_event_t event, json& parsed) { return duplicates(event, parsed); }, true, true);
  } catch (const json::exception& e) {
    throw ConfigError(fmt::format("{}: not JSON: {}", file.string(), plain_message(e)));
  }
}

std::string shown(const json& value) {
  const std::string text = value.dump(-1, ' ', false, json::error_handler_t::replace);
  return text.size() <= 60 ? text : text.substr(0, 57) + "...";
}

void check_keys(const json& object, const std::string& where, const std::vector<std::string>& known) {
  if (!object.is_object()) throw ConfigError(fmt::format("{}: found {}, want an object {{...}}", where, shown(object)));
  for (const auto& item : object.items()) {
    if (std::find(known.begin(), known.end(), item.key()) != known.end()) continue;
    const std::string like = nearest(item.key(), known);
    throw ConfigError(fmt::format("{}: unknown key \"{}\"{}; known keys: {}", where, item.key(),
                                  like.empty() ? "" : fmt::format(", did you mean \"{}\"?", like),
                                  fmt::join(known, ", ")));
  }
}

std::string text_of(const json& object, const std::string& key, const std::string& where) {
  const auto it = object.find(key);
  if (it == object.end()) return "";
  if (!it->is_string() || it->get_ref<const std::string&>().empty()) {
    throw ConfigError(fmt::format("{}: found {}, want a string", member(where, key), shown(*it)));
  }
  return it->get<std::string>();
}

std::vector<std::string> texts_of(const json& object, const std::string& key, const std::string& where) {
  std::vector<std::string> texts;
  const auto it = object.find(key);
  if (it == object.end()) return texts;
  const std::string path = member(where, key);
  if (!it->is_array()) throw ConfigError(fmt::format("{}: found {}, want a list of strings", path, shown(*it)));
  for (const json& item : *it) {
    if (!item.is_string() || item.get_ref<const std::string&>().empty()) {
      throw ConfigError(fmt::format("{}[{}]: found {}, want a string", path, texts.size(), shown(item)));
    }
    texts.push_back(item.get<std::string>());
  }
  return texts;
}

}  // namespace psanet::models
