// Where the reference numbers are, if this machine has them.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <optional>

#include "tests/support/catch.h"

namespace psanet::tests {

/// The folder that PSANET_GOLDEN names, or else ../shared/golden beside the source tree. Absent: the running test warns
/// that it was skipped; return from it then.
inline std::optional<std::filesystem::path> golden_dir() {
  const char* named = std::getenv("PSANET_GOLDEN");
  const std::filesystem::path dir = named != nullptr
                                        ? std::filesystem::path(named)
                                        : std::filesystem::path(PSANET_SOURCE_DIR).parent_path() / "shared" / "golden";
  if (std::filesystem::is_directory(dir)) return dir;
  WARN("SKIPPED: " << (named != nullptr ? dir.string() : "../shared/golden") << " not found");
  return std::nullopt;
}

}  // namespace psanet::tests
