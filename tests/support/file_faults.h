// File systems for tests: one that records what is done to the real files, one whose operations fail.
#pragma once

#include <cerrno>
#include <string>
#include <system_error>
#include <vector>

#include "engine/file_system.h"

namespace psanet::tests {

struct FileOperation {
  enum class Kind { create, write, sync, close, rename, remove, make_folder, sync_folder } kind;
  int file = -1;                   // create, write, sync, close
  std::filesystem::path path, to;  // to: of a rename
  std::string bytes;               // of a write
};

/// Does everything to the real files, after before() had its say.
class WatchedFiles : public FileSystem {
 public:
  int create(const std::filesystem::path& path) override {
    before({FileOperation::Kind::create, -1, path, {}, {}});
    return real_files().create(path);
  }
  void write(int file, const void* bytes, size_t count) override {
    before({FileOperation::Kind::write, file, {}, {}, std::string(static_cast<const char*>(bytes), count)});
    real_files().write(file, bytes, count);
  }
  void sync(int file) override {
    before({FileOperation::Kind::sync, file, {}, {}, {}});
    real_files().sync(file);
  }
  void close(int file) override {
    try {
      before({FileOperation::Kind::close, file, {}, {}, {}});
    } catch (...) {
      real_files().close(file);  // a failing close closes all the same
      throw;
    }
    real_files().close(file);
  }
  void rename(const std::filesystem::path& from, const std::filesystem::path& to) override {
    before({FileOperation::Kind::rename, -1, from, to, {}});
    real_files().rename(from, to);
  }
  void remove(const std::filesystem::path& path) override {
    before({FileOperation::Kind::remove, -1, path, {}, {}});
    real_files().remove(path);
  }
  void make_folder(const std::filesystem::path& path) override {
    before({FileOperation::Kind::make_folder, -1, path, {}, {}});
    real_files().make_folder(path);
  }
  void sync_folder(const std::filesystem::path& path) override {
    before({FileOperation::Kind::sync_folder, -1, path, {}, {}});
    real_files().sync_folder(path);
  }

 private:
  virtual void before(const FileOperation& operation) = 0;
};

/// `file` of a recorded operation counts from 0 in the order of creation.
class RecordingFiles final : public WatchedFiles {
 public:
  std::vector<FileOperation> operations;

  int create(const std::filesystem::path& path) override {
    const int file = WatchedFiles::create(path);
    operations.back().file = static_cast<int>(numbers_.size());
    numbers_.push_back(file);
    return file;
  }

 private:
  void before(const FileOperation& operation) override {
    operations.push_back(operation);
    if (operation.file < 0) return;
    for (size_t i = 0; i < numbers_.size(); ++i) {  // the last file with that number
      if (numbers_[i] == operation.file) operations.back().file = static_cast<int>(i);
    }
  }

  std::vector<int> numbers_;  // the system's, by ours
};

/// Operation `first` and the `count - 1` after it fail with `reason` (failing writes write half of their bytes).
class FailingFiles final : public WatchedFiles {
 public:
  FailingFiles(int64_t first, int64_t count, int reason = ENOSPC) : first_(first), count_(count), reason_(reason) {}

  int64_t operations() const { return done_; }

 private:
  void before(const FileOperation& operation) override {
    const int64_t number = done_++;
    if (number < first_ || number - first_ >= count_) return;
    if (operation.kind == FileOperation::Kind::write) {
      real_files().write(operation.file, operation.bytes.data(), operation.bytes.size() / 2);
    }
    throw std::system_error(reason_, std::generic_category());
  }

  int64_t first_, count_, done_ = 0;
  int reason_;
};

}  // namespace psanet::tests
