#include "engine/home.h"

#include <fmt/format.h>

#include <cstdlib>

#include "engine/error.h"

namespace psanet {

namespace fs = std::filesystem;

fs::path home() {
  std::error_code failed;
  const auto is_home = [&](const fs::path& folder) { return fs::is_directory(folder / "models", failed); };
  if (const char* named = std::getenv("PSANET_HOME"); named != nullptr && *named != '\0') {
    if (!is_home(named)) {
      throw ConfigError(fmt::format(
          "PSANET_HOME={}: there is no folder models in it; want the folder that holds psanet's models, apps/recipes "
          "and data",
          named));
    }
    return named;
  }
  const fs::path program = fs::read_symlink("/proc/self/exe", failed);
  if (const fs::path installed = program.parent_path().parent_path() / "share" / "psanet"; is_home(installed)) {
    return installed;
  }
  return PSANET_SOURCE_DIR;
}

}  // namespace psanet
