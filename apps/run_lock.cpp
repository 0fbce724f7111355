#include "apps/run_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>

#include "engine/error.h"

namespace psanet::apps {

RunLock::RunLock(const std::filesystem::path& folder) {
  file_ = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (file_ < 0 || ::flock(file_, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) return;
  ::close(file_);
  throw ConfigError(fmt::format("{}: another process is training in this folder", folder.string()));
}

RunLock::~RunLock() {
  if (file_ >= 0) ::close(file_);
}

}  // namespace psanet::apps
