// JSON from files and command lines: one loader with one set of rules for models, recipes, data sets, manifests,
// reports and the headers of tensor files.
//
// The text must be UTF-8 and within the limits, numbers must fit into their types, and no object may have a key twice.
// Comments (// and /* */) are allowed. A violation is an error of one line with the file, the line and the column.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <utility>

namespace psanet {

/// Throws the error of a kind of file: raise<ConfigError>.
using Raise = void (*)(const std::string& message);
template <class Error>
[[noreturn]] void raise(const std::string& message) {
  throw Error(message);
}

struct JsonLimits {
  int64_t bytes = int64_t{16} << 20;  // of the text
  int64_t values = 1'000'000;         // members and items in all
  int64_t depth = 64;                 // of lists and objects in each other
};

/// `name` stands in front of messages.
template <class Json = nlohmann::json>
Json parse_json(std::string_view text, const std::string& name, Raise raise, const JsonLimits& limits = {});

/// Also refuses what is no regular file, and what has more bytes than allowed, without reading on. `problem` stands
/// between the file and what is wrong: "is no whole manifest: ".
template <class Json = nlohmann::json>
Json read_json(const std::filesystem::path& file, Raise raise, const JsonLimits& limits = {},
               const std::string& problem = "");

/// "name=value" of a command line, as the two. `option` stands in front of messages; ConfigError unless both are there,
/// or the name alone if the value `may_be_empty`.
std::pair<std::string, std::string> split_setting(const std::string& assignment, const std::string& option,
                                                  bool may_be_empty = false);

/// Such a value: JSON, or else a string. ConfigError for what is JSON beyond the limits, and for a string that is not
/// UTF-8.
nlohmann::json parse_setting(std::string_view text, const std::string& option);

/// The assignment of a string: `name="text"`. ConfigError for what is not UTF-8.
std::string string_setting(const std::string& name, const std::string& text);

}  // namespace psanet
