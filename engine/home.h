// Where the files are that come with psanet and are read when a program runs: models, recipes, dataset descriptions.
#pragma once

#include <filesystem>

namespace psanet {

/// A folder laid out like the source tree, with models/, apps/recipes/ and data/ in it. The environment variable
/// PSANET_HOME names it; else it is share/psanet beside the folder of the running program, if there is one; else the
/// source tree that the program was built from. ConfigError if PSANET_HOME names no such folder.
std::filesystem::path home();

}  // namespace psanet
