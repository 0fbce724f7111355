// What the user got wrong, by kind; the applications map each kind to its exit code (docs/errors in --help).
#pragma once

#include <stdexcept>

#include "kernels/error.h"

namespace psanet {

/// A model, a recipe or an option that makes no sense: names the JSON path or option, what was found, what is wanted.
/// Exit code 2.
struct ConfigError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// A tensor file that is missing, damaged or does not fit the model. Exit code 4.
struct WeightsError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// A file or folder that cannot be written (disk full, no permission): names it and the system's reason. Exit code 6.
struct FileError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

}  // namespace psanet
