// How much main memory there is: the system grants more than it has, and ends the process that uses it.
#pragma once

#include <cstdint>
#include <string>

namespace psanet {

/// Throws DeviceError, which begins with `what`, if `bytes` of main memory are more than can be used now.
void require_main_memory(int64_t bytes, const std::string& what);

}  // namespace psanet
