// One process at a time writes into a run folder.
#pragma once

#include <filesystem>

namespace psanet::apps {

/// Holds a folder locked while it lives; the system lets go of it when a process ends, however that happens. Nothing is
/// written. ConfigError if another process holds it. A folder that is not there, or whose file system has no locks, is
/// not locked.
class RunLock {
 public:
  explicit RunLock(const std::filesystem::path& folder);
  ~RunLock();
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;

 private:
  int file_ = -1;
};

}  // namespace psanet::apps
