// A file that appears whole or not at all.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string_view>

namespace psanet {

/// Writes to "<path>.tmp"; commit() syncs it to disk and renames it. Without commit() nothing is left behind.
/// Failures are std::runtime_error naming the file and the system's reason (disk full, no permission, no such folder).
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(const void* bytes, size_t count);
  void commit();

 private:
  [[noreturn]] void fail(const char* doing) const;
  std::filesystem::path path_, temporary_;
  int file_ = -1;
};

/// The whole text at once.
void write_text_atomically(const std::filesystem::path& path, std::string_view text);

}  // namespace psanet
