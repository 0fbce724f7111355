#include "engine/json/file.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <vector>

#include "engine/error.h"
#include "engine/json/text.h"

namespace psanet {

using nlohmann::json;
using nlohmann::ordered_json;

namespace {

/// What is wrong with a text, and after how many of its bytes.
struct JsonProblem {
  std::string what;
  size_t at = 0;
  bool syntax = false;  // the text is no JSON at all
};

/// Counts values, and keys of the objects that are open; throws JsonProblem.
class Watch {
 public:
  Watch(const JsonLimits& limits, std::istream& stream) : limits_(limits), stream_(stream) {}

  /// How many bytes the parser has read.
  size_t reached() const { return static_cast<size_t>(stream_.rdbuf()->pubseekoff(0, std::ios::cur, std::ios::in)); }

  template <class Json>
  bool operator()(json::parse_event_t event, const Json& parsed) {
    using Event = json::parse_event_t;
    switch (event) {
      case Event::key:
        if (!open_.back().insert(parsed.template get_ref<const std::string&>()).second) {
          fail(fmt::format("the key {} stands twice in one object, want it once", shown(parsed)));
        }
        break;
      case Event::object_start:
      case Event::array_start:
        open_.emplace_back();
        if (static_cast<int64_t>(open_.size()) > limits_.depth) {
          fail(fmt::format("lists and objects in each other, deeper than {}", limits_.depth));
        }
        [[fallthrough]];
      case Event::value:
        if (++values_ > limits_.values) fail(fmt::format("more than {} values", limits_.values));
        break;
      case Event::object_end:
      case Event::array_end:
        open_.pop_back();
    }
    return true;
  }

 private:
  [[noreturn]] void fail(std::string what) const { throw JsonProblem{std::move(what), reached()}; }

  const JsonLimits& limits_;
  std::istream& stream_;
  std::vector<std::set<std::string>> open_;
  int64_t values_ = 0;
};

/// nlohmann's message without the "[json.exception...] parse error at line 1, column 2: " in front.
std::string plain_message(const json::exception& e) {
  std::string text = e.what();
  for (const char* end : {"] ", ": "}) {
    if (std::string_view(end) == ": " && text.rfind("parse error at", 0) != 0) continue;
    if (const size_t at = text.find(end); at != std::string::npos) text.erase(0, at + 2);
  }
  return printed(text, 160);
}

template <class Json>
Json parse(std::string_view text, const JsonLimits& limits) {
  if (static_cast<int64_t>(text.size()) > limits.bytes) {
    throw JsonProblem{fmt::format("more than {} bytes", limits.bytes)};
  }
  std::istringstream stream{std::string(text)};
  Watch watch(limits, stream);
  const auto watched = [&](int, auto event, Json& parsed) {
    return watch(static_cast<json::parse_event_t>(event), parsed);
  };
  try {
    return Json::parse(stream, watched, true, true);
  } catch (const json::parse_error& e) {
    throw JsonProblem{"not JSON: " + plain_message(e), watch.reached(), true};
  } catch (const json::exception& e) {  // a number that no double holds
    throw JsonProblem{plain_message(e), watch.reached(), true};
  }
}

/// "line 3, column 7": of the last character that was read.
std::string place(std::string_view text, size_t at) {
  const std::string_view before = text.substr(0, std::min(at, text.size()));
  const size_t line_begin = before.rfind('\n');
  return fmt::format("line {}, column {}", 1 + std::count(before.begin(), before.end(), '\n'),
                     std::max<size_t>(1, before.size() - (line_begin == before.npos ? 0 : line_begin + 1)));
}

}  // namespace

template <class Json>
Json parse_json(std::string_view text, const std::string& name, Raise raise, const JsonLimits& limits) {
  try {
    return parse<Json>(text, limits);
  } catch (const JsonProblem& problem) {
    raise(fmt::format("{}: {} ({})", name, problem.what, place(text, problem.at)));
  }
  return {};
}

template <class Json>
Json read_json(const std::filesystem::path& file, Raise raise, const JsonLimits& limits, const std::string& problem) {
  const std::string name = problem.empty() ? file.string() : fmt::format("{}: {}", file.string(), problem);
  std::error_code none;
  std::ifstream stream;
  if (std::filesystem::is_regular_file(file, none)) stream.open(file, std::ios::binary);
  if (!stream.is_open()) raise(fmt::format("{}: cannot read this file, want a JSON file", name));
  std::string text;
  char block[1 << 16];
  while (stream.read(block, sizeof block) || stream.gcount() > 0) {
    text.append(block, static_cast<size_t>(stream.gcount()));
    if (static_cast<int64_t>(text.size()) > limits.bytes) {
      raise(fmt::format("{}: more than {} bytes, want a smaller JSON file", name, limits.bytes));
    }
  }
  return parse_json<Json>(text, name, raise, limits);
}

template json parse_json(std::string_view, const std::string&, Raise, const JsonLimits&);
template ordered_json parse_json(std::string_view, const std::string&, Raise, const JsonLimits&);
template json read_json(const std::filesystem::path&, Raise, const JsonLimits&, const std::string&);
template ordered_json read_json(const std::filesystem::path&, Raise, const JsonLimits&, const std::string&);

std::pair<std::string, std::string> split_setting(const std::string& assignment, const std::string& option,
                                                  bool may_be_empty) {
  const size_t equals = assignment.find('=');
  if (equals == 0 || equals == std::string::npos || (equals + 1 == assignment.size() && !may_be_empty)) {
    throw ConfigError(fmt::format("{}: found \"{}\", want name=value", option, printed(assignment)));
  }
  return {assignment.substr(0, equals), assignment.substr(equals + 1)};
}

json parse_setting(std::string_view text, const std::string& option) {
  if (!is_utf8(text)) throw ConfigError(fmt::format("{}: found \"{}\", want UTF-8", option, printed(text)));
  try {
    return parse<json>(text, {});
  } catch (const JsonProblem& problem) {
    if (problem.syntax) return std::string(text);
    throw ConfigError(fmt::format("{}: found {}: {}", option, printed(text), problem.what));
  }
}

std::string string_setting(const std::string& name, const std::string& text) {
  if (!is_utf8(text)) throw ConfigError(fmt::format("{}: found \"{}\", want UTF-8", name, printed(text)));
  return fmt::format("{}={}", name, json(text).dump());
}

}  // namespace psanet
