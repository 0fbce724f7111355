#include "engine/atomic_file.h"

#include <fmt/format.h>

#include <system_error>
#include <utility>

#include "engine/error.h"

namespace psanet {

template <class Operation>
auto AtomicFile::attempt(const char* doing, const Operation& operation) const {
  try {
    return operation();
  } catch (const std::system_error& e) {
    throw FileError(fmt::format("{}: could not be {}: {}", path_.string(), doing, e.code().message()));
  }
}

AtomicFile::AtomicFile(std::filesystem::path path, FileSystem& files)
    : files_(files), path_(std::move(path)), temporary_(path_.string() + ".tmp") {
  file_ = attempt("created", [&] { return files_.create(temporary_); });
}

AtomicFile::~AtomicFile() {
  if (in_place_) return;
  try {  // on the way out of another failure as a rule: that one is reported
    if (file_ >= 0) files_.close(file_);
  } catch (const std::system_error&) {
  }
  try {
    files_.remove(temporary_);
  } catch (const std::system_error&) {
  }
}

void AtomicFile::write(const void* bytes, size_t count) {
  attempt("written", [&] { files_.write(file_, bytes, count); });
}

void AtomicFile::commit() {
  attempt("synced", [&] { files_.sync(file_); });
  attempt("put in place", [&] {
    files_.close(std::exchange(file_, -1));
    files_.rename(temporary_, path_);
  });
  in_place_ = true;
  // The rename itself must survive a power cut too.
  attempt("made durable", [&] { files_.sync_folder(path_.parent_path()); });
}

void write_text_atomically(const std::filesystem::path& path, std::string_view text, FileSystem& files) {
  AtomicFile file(path, files);
  file.write(text.data(), text.size());
  file.commit();
}

}  // namespace psanet
