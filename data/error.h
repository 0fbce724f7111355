// The one exception for images, labels, lists and dataset descriptions that cannot be used.
#pragma once

#include <stdexcept>

namespace psanet::data {

/// One line that names the file (and line, JSON path or pixel), what was found and what was wanted.
/// Programs turn it into exit code 3.
class DataError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace psanet::data
