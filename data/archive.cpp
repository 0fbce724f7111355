#include "data/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "data/error.h"

namespace psanet::data {

struct ArchiveWriter::Impl {
  ::archive* writer = archive_write_new();
  int file = -1;
  ~Impl() {
    if (writer != nullptr) archive_write_free(writer);
    if (file >= 0) ::close(file);
  }
};

namespace {

std::string reason_of(::archive* a) {
  const char* text = archive_error_string(a);
  return text != nullptr ? text : "no reason given";
}

}  // namespace

ArchiveWriter::ArchiveWriter(std::filesystem::path path, ArchiveFormat format)
    : impl_(std::make_unique<Impl>()), path_(std::move(path)), temporary_(path_.string() + ".tmp") {
  impl_->file = ::open(temporary_.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (impl_->file < 0) throw DataError(fmt::format("cannot write {}: {}", path_.string(), std::strerror(errno)));
  ::archive* a = impl_->writer;
  int result = ARCHIVE_OK;
  if (format == ArchiveFormat::zip) {
    result = archive_write_set_format_zip(a);
  } else {
    result = archive_write_add_filter_gzip(a);
    if (result == ARCHIVE_OK) result = archive_write_set_options(a, "gzip:!timestamp");  // the same bytes every time
    if (result == ARCHIVE_OK) result = archive_write_set_format_ustar(a);
  }
  if (result == ARCHIVE_OK) result = archive_write_open_fd(a, impl_->file);
  if (result != ARCHIVE_OK) {
    const std::string reason = reason_of(a);
    ::unlink(temporary_.c_str());
    throw DataError(fmt::format("cannot write {}: {}", path_.string(), reason));
  }
}

ArchiveWriter::~ArchiveWriter() {
  if (impl_ == nullptr) return;
  impl_.reset();
  ::unlink(temporary_.c_str());
}

void ArchiveWriter::add(const std::string& name, std::span<const std::uint8_t> bytes) {
  const std::unique_ptr<archive_entry, void (*)(archive_entry*)> entry(archive_entry_new(), archive_entry_free);
  archive_entry_set_pathname(entry.get(), name.c_str());
  archive_entry_set_filetype(entry.get(), AE_IFREG);
  archive_entry_set_perm(entry.get(), 0644);
  archive_entry_set_size(entry.get(), static_cast<la_int64_t>(bytes.size()));
  archive_entry_set_mtime(entry.get(), 946684800, 0);  // 2000-01-01
  ::archive* a = impl_->writer;
  if (archive_write_header(a, entry.get()) != ARCHIVE_OK ||
      archive_write_data(a, bytes.data(), bytes.size()) != static_cast<la_ssize_t>(bytes.size()) ||
      archive_write_finish_entry(a) != ARCHIVE_OK) {
    throw DataError(fmt::format("cannot write {} into {}: {}", name, path_.string(), reason_of(a)));
  }
}

void ArchiveWriter::close() {
  if (archive_write_close(impl_->writer) != ARCHIVE_OK) {
    throw DataError(fmt::format("cannot write {}: {}", path_.string(), reason_of(impl_->writer)));
  }
}

void ArchiveWriter::commit() {
  const auto check = [&](bool good, const char* doing) {
    if (!good) throw DataError(fmt::format("cannot write {}: {}: {}", path_.string(), doing, std::strerror(errno)));
  };
  check(::fsync(impl_->file) == 0, "syncing");
  check(::rename(temporary_.c_str(), path_.c_str()) == 0, "renaming");
  impl_.reset();
}

void for_each_archived(const std::filesystem::path& path,
                       const std::function<void(const std::string&, std::span<const std::uint8_t>)>& f,
                       std::size_t most_bytes) {
  const std::unique_ptr<::archive, int (*)(::archive*)> reader(archive_read_new(), archive_read_free);
  ::archive* a = reader.get();
  const auto fail = [&] {
    throw DataError(fmt::format("{}: not an archive that can be read ({}); want a zip or tar.gz file", path.string(),
                                reason_of(a)));
  };
  archive_read_support_filter_all(a);
  archive_read_support_format_zip(a);
  archive_read_support_format_tar(a);
  if (archive_read_open_filename(a, path.c_str(), 1 << 16) != ARCHIVE_OK) fail();
  std::vector<std::uint8_t> bytes;
  archive_entry* entry = nullptr;
  for (;;) {
    const int result = archive_read_next_header(a, &entry);
    if (result == ARCHIVE_EOF) return;
    if (result != ARCHIVE_OK && result != ARCHIVE_WARN) fail();
    if (archive_entry_filetype(entry) == AE_IFDIR) continue;
    const char* pathname = archive_entry_pathname(entry);
    const std::string name = pathname != nullptr ? pathname : "";
    bytes.clear();
    for (;;) {
      const std::size_t before = bytes.size();
      bytes.resize(before + (std::size_t{1} << 16));
      const la_ssize_t got = archive_read_data(a, bytes.data() + before, std::size_t{1} << 16);
      if (got < 0) fail();
      bytes.resize(before + std::size_t(got));
      if (got == 0) break;
      if (bytes.size() > most_bytes) {
        throw DataError(fmt::format("{}: {} has more than {} bytes", path.string(), name, most_bytes));
      }
    }
    f(name, bytes);
  }
}

}  // namespace psanet::data
