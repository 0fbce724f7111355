#include "engine/json/text.h"

#include <nlohmann/json.hpp>

namespace psanet {

using nlohmann::json;

namespace {

constexpr size_t kMostShown = 60;

/// The bytes of the character that `text` begins with, or 0 if it begins with none.
size_t character_bytes(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  const size_t size = first >= 0xc2 && first < 0xe0   ? 2
                      : first >= 0xe0 && first < 0xf0 ? 3
                      : first >= 0xf0 && first < 0xf5 ? 4
                                                      : 0;
  if (size == 0 || text.size() < size) return 0;
  for (size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  const bool overlong = (first == 0xe0 && byte(1) < 0xa0) || (first == 0xf0 && byte(1) < 0x90);
  const bool beyond = (first == 0xed && byte(1) >= 0xa0) || (first == 0xf4 && byte(1) >= 0x90);  // surrogates, U+110000
  return overlong || beyond ? 0 : size;
}

/// At most `most` bytes and "...", not through the middle of a character.
std::string cut(std::string text, size_t most) {
  if (text.size() <= most) return text;
  size_t end = most - 3;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return text.substr(0, end) + "...";
}

/// The beginning of `text` in quotes: enough of it to be cut at kMostShown.
std::string quoted(const std::string& text) {
  return json(text.substr(0, kMostShown + 8)).dump(-1, ' ', false, json::error_handler_t::replace);
}

/// Appends `value` to `text` until that has more bytes than are shown. The recursion ends there too: every level has
/// its bracket in the text.
template <class Json>
void append(const Json& value, std::string& text) {
  if (text.size() > kMostShown) return;
  if (value.is_string()) {
    text += quoted(value.template get_ref<const std::string&>());
  } else if (value.is_structured()) {
    const bool object = value.is_object();
    text += object ? '{' : '[';
    const char* separator = "";
    for (auto it = value.begin(); it != value.end() && text.size() <= kMostShown; ++it) {
      text += separator;
      if (object) text += quoted(it.key()) + ":";
      append(*it, text);
      separator = ",";
    }
    text += object ? '}' : ']';
  } else {
    text += value.is_discarded() ? "nothing" : value.dump();
  }
}

template <class Json>
std::string shown_value(const Json& value) {
  std::string text;
  append(value, text);
  return cut(std::move(text), kMostShown);
}

}  // namespace

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const size_t size = character_bytes(text);
    if (size == 0) return false;
    text.remove_prefix(size);
  }
  return true;
}

std::string printed(std::string_view text, size_t most) {
  const std::string dumped =
      json(std::string(text.substr(0, most + 8))).dump(-1, ' ', false, json::error_handler_t::replace);
  std::string plain;
  for (size_t i = 1; i + 1 < dumped.size(); ++i) {  // without the quotes, and those inside as they are
    if (dumped[i] == '\\' && (dumped[i + 1] == '"' || dumped[i + 1] == '\\')) ++i;
    plain += dumped[i];
  }
  return cut(std::move(plain), most);
}

std::string shown(const json& value) {
  return shown_value(value);
}
std::string shown(const nlohmann::ordered_json& value) {
  return shown_value(value);
}

}  // namespace psanet
