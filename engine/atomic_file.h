// A file that appears whole or not at all.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string_view>

#include "engine/file_system.h"

namespace psanet {

/// Writes to "<path>.tmp"; commit() syncs it to disk, renames it and syncs the folder. Without commit() nothing is left
/// behind. Failures are FileErrors naming the file and the system's reason (disk full, no permission, no such folder).
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path path, FileSystem& files = real_files());
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(const void* bytes, size_t count);
  void commit();

 private:
  /// Runs one operation; "<path>: could not be <doing>: <reason>" if it fails.
  template <class Operation>
  auto attempt(const char* doing, const Operation& operation) const;

  FileSystem& files_;
  std::filesystem::path path_, temporary_;
  int file_ = -1;
  bool in_place_ = false;
};

/// The whole text at once.
void write_text_atomically(const std::filesystem::path& path, std::string_view text, FileSystem& files = real_files());

}  // namespace psanet
