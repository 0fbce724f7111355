// Archives of files, as test servers take them. Written and read by libarchive.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace psanet::data {

enum class ArchiveFormat : std::uint8_t { zip, tar_gz };

/// An archive under construction, in "<path>.tmp". The same files give the same bytes: entries have no owner and one
/// fixed date.
class ArchiveWriter {
 public:
  /// DataError if the file cannot be created.
  ArchiveWriter(std::filesystem::path path, ArchiveFormat format);
  /// Without commit() nothing is left behind.
  ~ArchiveWriter();
  ArchiveWriter(const ArchiveWriter&) = delete;
  ArchiveWriter& operator=(const ArchiveWriter&) = delete;

  /// `name` may have folders in it.
  void add(const std::string& name, std::span<const std::uint8_t> bytes);
  /// No more entries; the temporary file is complete and may be read.
  void close();
  const std::filesystem::path& temporary() const { return temporary_; }
  /// Gives the closed file its name.
  void commit();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
  std::filesystem::path path_, temporary_;
};

/// f(name, bytes) for every file of a zip or (compressed) tar archive, in order; folders are left out. DataError if it
/// is damaged or no archive, or for an entry of more than `most_bytes`.
void for_each_archived(const std::filesystem::path& path,
                       const std::function<void(const std::string&, std::span<const std::uint8_t>)>& f,
                       std::size_t most_bytes = std::size_t{256} << 20);

}  // namespace psanet::data
