// The message of a ConfigError, and pieces that it must have.
#pragma once

#include <string>
#include <vector>

#include "engine/error.h"
#include "tests/support/catch.h"

namespace psanet::tests {

/// The message, or "no error".
template <class Action>
std::string message_of(Action&& action) {
  try {
    action();
  } catch (const ConfigError& e) {
    return e.what();
  }
  return "no error";
}

/// One line that has every piece in it.
inline void check_message(const std::string& message, const std::vector<std::string>& pieces) {
  INFO("message: " << message);
  CHECK(message.find('\n') == std::string::npos);
  for (const std::string& piece : pieces) {
    INFO("wanted in it: " << piece);
    CHECK(message.find(piece) != std::string::npos);
  }
}

}  // namespace psanet::tests
