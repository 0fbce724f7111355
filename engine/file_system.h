// The operations on files that a save is made of, behind an interface: tests record them, cut them short, let them
// fail.
#pragma once

#include <cstddef>
#include <filesystem>

namespace psanet {

/// Every operation throws std::system_error with the system's reason; a failed one changes nothing that counts.
/// (AtomicFile turns these into a FileError that names the file.)
class FileSystem {
 public:
  virtual ~FileSystem() = default;
  /// An empty file of that name, open for writing; whatever was there is gone. Returns its number.
  virtual int create(const std::filesystem::path& path) = 0;
  /// Appends all of the bytes.
  virtual void write(int file, const void* bytes, size_t count) = 0;
  /// The file's content survives a power cut from here on; its name does not yet (sync_folder).
  virtual void sync(int file) = 0;
  virtual void close(int file) = 0;
  /// `to` is replaced if it is there.
  virtual void rename(const std::filesystem::path& from, const std::filesystem::path& to) = 0;
  virtual void remove(const std::filesystem::path& path) = 0;
  /// Nothing happens if the folder is there; the parent must be.
  virtual void make_folder(const std::filesystem::path& path) = 0;
  /// Names that were made, renamed or removed in the folder survive a power cut from here on.
  virtual void sync_folder(const std::filesystem::path& path) = 0;
};

/// The files of this machine. Has no state.
FileSystem& real_files();

}  // namespace psanet
