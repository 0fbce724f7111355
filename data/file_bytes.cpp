#include "data/file_bytes.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <system_error>

#include "data/error.h"

namespace psanet::data {
namespace {

/// A file descriptor that is closed whatever happens.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  int close() {
    const int fd = fd_;
    fd_ = -1;
    return ::close(fd);
  }

 private:
  int fd_;
};

}  // namespace

std::vector<std::uint8_t> read_file_bytes(const std::filesystem::path& path) {
  std::error_code status_error;
  const auto status = std::filesystem::status(path, status_error);
  if (!std::filesystem::exists(status)) {
    throw DataError(fmt::format("cannot read {}: no such file", path.string()));
  }
  if (!std::filesystem::is_regular_file(status)) {
    throw DataError(fmt::format("cannot read {}: it is not a regular file", path.string()));
  }
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"), &std::fclose);
  if (!file) throw DataError(fmt::format("cannot read {}: {}", path.string(), std::strerror(errno)));
  std::error_code size_error;
  const auto size = std::filesystem::file_size(path, size_error);
  if (size_error) throw DataError(fmt::format("cannot read {}: {}", path.string(), size_error.message()));
  std::vector<std::uint8_t> bytes(size);
  const std::size_t got = std::fread(bytes.data(), 1, bytes.size(), file.get());
  if (got != bytes.size()) {
    throw DataError(fmt::format("cannot read {}: got {} of {} bytes", path.string(), got, bytes.size()));
  }
  return bytes;
}

void write_file_bytes(const std::filesystem::path& path, std::span<const std::uint8_t> bytes) {
  const std::string temporary = fmt::format("{}.tmp{}", path.string(), ::getpid());
  const auto fail = [&](const char* doing) {
    const int reason = errno;
    ::unlink(temporary.c_str());
    throw DataError(fmt::format("cannot write {}: {}: {}", path.string(), doing, std::strerror(reason)));
  };
  Descriptor file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (file.get() < 0) fail("creating the temporary file");
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t n = ::write(file.get(), bytes.data() + done, bytes.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) fail("writing");
    done += static_cast<std::size_t>(n);
  }
  if (::fsync(file.get()) != 0) fail("syncing");
  if (file.close() != 0) fail("closing");
  if (::rename(temporary.c_str(), path.c_str()) != 0) fail("renaming");
}

void write_file_text(const std::filesystem::path& path, std::string_view text) {
  write_file_bytes(path, {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
}

void make_folder(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) throw DataError(fmt::format("cannot make the folder {}: {}", folder.string(), error.message()));
}

}  // namespace psanet::data
