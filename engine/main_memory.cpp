#include "engine/main_memory.h"

#include <fmt/format.h>

#include <fstream>

#include "kernels/error.h"

namespace psanet {

void require_main_memory(int64_t bytes, const std::string& what) {
  std::ifstream meminfo("/proc/meminfo");
  for (std::string line; std::getline(meminfo, line);) {
    if (!line.starts_with("MemAvailable:")) continue;
    const int64_t available_kb = std::stoll(line.substr(line.find_first_of("0123456789")));
    if (bytes / 1024 < available_kb) return;
    throw DeviceError(fmt::format("{}: {:.1f} GiB of main memory, {:.1f} GiB can be used", what,
                                  static_cast<double>(bytes) / (1 << 30),
                                  static_cast<double>(available_kb) / (1 << 20)));
  }
}

}  // namespace psanet
