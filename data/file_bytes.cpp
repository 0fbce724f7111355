#include "data/file_bytes.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <system_error>
#include <utility>

#include "data/error.h"
#include "engine/file_system.h"

namespace psanet::data {

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
  FileSystem& files = real_files();
  const char* doing = "creating the temporary file";
  int file = -1;
  try {
    file = files.create(temporary);
    doing = "writing";
    files.write(file, bytes.data(), bytes.size());
    doing = "syncing";
    files.sync(file);
    doing = "closing";
    files.close(std::exchange(file, -1));
    doing = "renaming";
    files.rename(temporary, path);
  } catch (const std::system_error& problem) {
    if (file >= 0) ::close(file);
    ::unlink(temporary.c_str());
    throw DataError(fmt::format("cannot write {}: {}: {}", path.string(), doing, problem.code().message()));
  }
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
