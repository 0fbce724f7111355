// What a device or a vendor library refused to do.
#pragma once

#include <stdexcept>

namespace psanet {

/// Out of memory, a missing device, a failing vendor call. The applications map it to exit code 5.
struct DeviceError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

}  // namespace psanet
