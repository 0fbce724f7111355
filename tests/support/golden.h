// Where the reference numbers are, if this machine has them.
#pragma once

#include <filesystem>
#include <optional>

#include "tests/support/catch.h"

namespace psanet::tests {

/// ../shared/golden beside the source tree. Absent: the running test warns that it was skipped; return from it then.
inline std::optional<std::filesystem::path> golden_dir() {
  const std::filesystem::path dir = std::filesystem::path(PSANET_SOURCE_DIR).parent_path() / "shared" / "golden";
  if (std::filesystem::is_directory(dir)) return dir;
  WARN("SKIPPED: ../shared/golden not found");
  return std::nullopt;
}

}  // namespace psanet::tests
