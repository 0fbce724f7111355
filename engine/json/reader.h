// A typed view of a JSON value that knows its path: what it does not find as wanted is one line with the path, what was
// found and what is wanted, thrown as the error of the kind of file.
#pragma once

#include <limits>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/error.h"
#include "engine/json/file.h"

namespace psanet {

/// How the messages of a kind of file read.
struct JsonKind {
  Raise raise = psanet::raise<ConfigError>;
  bool pointers = false;  // "classes/3" instead of "classes[3]", and "wanted" instead of "want"
};

class JsonReader {
 public:
  /// `value` (kept by address) at the path `where`. Members are called `members` + name: "model.json: " for a whole
  /// file; by default `where` and a dot.
  JsonReader(const nlohmann::json& value, std::string where, const JsonKind& kind = {});
  JsonReader(const nlohmann::json& value, std::string where, std::string members, const JsonKind& kind = {});
  /// A whole file: "model.json", whose members are "model.json: let".
  static JsonReader of_file(const nlohmann::json& value, const std::string& file);

  const nlohmann::json& value() const { return *value_; }
  const std::string& where() const { return where_; }
  /// The path that a member has.
  std::string where(const std::string& key) const;
  /// Another value at the same place.
  JsonReader with(const nlohmann::json& value) const;

  [[noreturn]] void fail(const std::string& what) const;
  /// "where: found 3, want a string"
  [[noreturn]] void wrong(const std::string& want) const;

  // Of objects.
  void only_keys(const std::vector<std::string>& known) const;
  bool has(const std::string& key) const;
  std::optional<JsonReader> find(const std::string& key) const;
  /// Fails if there is no such member.
  JsonReader at(const std::string& key) const;
  /// All members; an object is wanted. `like` says so in other words.
  std::vector<std::pair<std::string, JsonReader>> members(const char* like = "an object {...}") const;
  /// The members of the member `key`, none if it is not there.
  std::vector<std::pair<std::string, JsonReader>> members_of(const std::string& key) const;

  /// Of lists.
  std::vector<JsonReader> items(const std::string& like = "a list") const;
  JsonReader item(size_t index) const;

  bool boolean() const;
  int64_t integer(int64_t low = std::numeric_limits<int64_t>::min(),
                  int64_t high = std::numeric_limits<int64_t>::max()) const;
  double number() const;
  /// May be empty.
  std::string text() const;

  // Members by type; "" and an empty list for those that are not there. Strings must not be empty.
  std::string text_of(const std::string& key) const;
  std::vector<std::string> texts_of(const std::string& key) const;

 private:
  const nlohmann::json* value_;
  std::string where_, members_;
  JsonKind kind_;
};

}  // namespace psanet
