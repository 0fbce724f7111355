#include "engine/file_system.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace psanet {

namespace {

[[noreturn]] void fail() {
  throw std::system_error(errno, std::generic_category());
}

class RealFiles final : public FileSystem {
 public:
  int create(const std::filesystem::path& path) override {
    const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (file < 0) fail();
    return file;
  }

  void write(int file, const void* bytes, size_t count) override {
    const char* at = static_cast<const char*>(bytes);
    while (count > 0) {
      const ssize_t written = ::write(file, at, count);
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) fail();
      at += written;
      count -= static_cast<size_t>(written);
    }
  }

  void sync(int file) override {
    if (::fsync(file) != 0) fail();
  }

  void close(int file) override {
    if (::close(file) != 0) fail();
  }

  void rename(const std::filesystem::path& from, const std::filesystem::path& to) override {
    if (::rename(from.c_str(), to.c_str()) != 0) fail();
  }

  void remove(const std::filesystem::path& path) override {
    if (::unlink(path.c_str()) != 0) fail();
  }

  void make_folder(const std::filesystem::path& path) override {
    if (::mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) fail();
  }

  void sync_folder(const std::filesystem::path& path) override {
    const int folder = ::open(path.empty() ? "." : path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) fail();
    const int result = ::fsync(folder), reason = errno;
    ::close(folder);
    errno = reason;
    // Some network file systems have no such operation; there is nothing to be done about that.
    if (result != 0 && errno != EINVAL && errno != ENOTSUP) fail();
  }
};

}  // namespace

FileSystem& real_files() {
  static RealFiles files;
  return files;
}

}  // namespace psanet
