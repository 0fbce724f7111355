// Values and strings of files and command lines as messages show them: one line, short, in UTF-8 whatever they hold.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace psanet {

/// Whether `text` is UTF-8 without overlong forms and surrogates.
bool is_utf8(std::string_view text);

/// `text` without control characters and invalid bytes (as \n, \u0001, U+FFFD), cut after `most` bytes with "...".
std::string printed(std::string_view text, size_t most = 60);

/// A value as JSON has it, cut after 60 bytes with "..."; takes no more time and memory than what is shown needs.
std::string shown(const nlohmann::json& value);
std::string shown(const nlohmann::ordered_json& value);

}  // namespace psanet
