#include "tests/support/power_cut.h"

#include <fstream>
#include <memory>
#include <optional>
#include <set>
#include <sstream>

namespace psanet::tests {

namespace {

namespace fs = std::filesystem;

struct Content {
  std::string synced, written;
};
using Names = std::map<fs::path, std::shared_ptr<Content>>;  // a folder has no content

/// One change of names: `gone` is no name any more, `path` is one of `content`.
struct NameChange {
  fs::path gone, path;
  std::shared_ptr<Content> content;
  fs::path folder() const { return (path.empty() ? gone : path).parent_path(); }
  void apply(Names& names) const {
    if (!gone.empty()) names.erase(gone);
    if (!path.empty()) names[path] = content;
  }
};

std::string survived(const Content& content, int mode) {
  if (content.written.size() <= content.synced.size()) return mode == 0 ? content.synced : content.written;
  const size_t fresh = content.written.size() - content.synced.size();
  switch (mode) {
    case 0:
      return content.synced;
    case 1:
      return content.written.substr(0, content.synced.size() + fresh / 2);
    case 2:
      return content.written;
    default:
      return content.synced + std::string(fresh, '\0');
  }
}

}  // namespace

std::vector<DiskState> states_after_power_cut(const DiskState& disk, const std::vector<FileOperation>& operations,
                                              size_t count) {
  Names durable, current;
  for (const auto& [path, bytes] : disk) durable[path] = std::make_shared<Content>(Content{bytes, bytes});
  current = durable;
  std::vector<NameChange> pending;
  std::set<fs::path> lost_folders;  // made, and not yet durable
  std::vector<std::shared_ptr<Content>> open;
  for (size_t i = 0; i < count; ++i) {
    const FileOperation& op = operations[i];
    std::optional<NameChange> change;
    switch (op.kind) {
      case FileOperation::Kind::create:
        open.push_back(std::make_shared<Content>());
        change = NameChange{{}, op.path, open.back()};
        break;
      case FileOperation::Kind::write:
        open[static_cast<size_t>(op.file)]->written += op.bytes;
        break;
      case FileOperation::Kind::sync:
        open[static_cast<size_t>(op.file)]->synced = open[static_cast<size_t>(op.file)]->written;
        break;
      case FileOperation::Kind::close:
        break;
      case FileOperation::Kind::rename:
        change = NameChange{op.path, op.to, current.at(op.path)};
        break;
      case FileOperation::Kind::remove:
        change = NameChange{op.path, {}, nullptr};
        break;
      case FileOperation::Kind::make_folder:
        if (disk.lower_bound(op.path) == disk.end() || disk.lower_bound(op.path)->first.parent_path() != op.path) {
          lost_folders.insert(op.path);
        }
        break;
      case FileOperation::Kind::sync_folder: {
        std::vector<NameChange> rest;
        for (const NameChange& c : pending) {
          if (c.folder() == op.path) {
            c.apply(durable);
          } else {
            rest.push_back(c);
          }
        }
        pending = rest;
        for (auto it = lost_folders.begin(); it != lost_folders.end();) {
          it = it->parent_path() == op.path ? lost_folders.erase(it) : std::next(it);
        }
        break;
      }
    }
    if (change) {
      change->apply(current);
      pending.push_back(*change);
    }
  }

  std::set<DiskState> states;
  for (size_t subset = 0; subset < size_t{1} << pending.size(); ++subset) {
    Names names = durable;
    for (size_t c = 0; c < pending.size(); ++c) {
      if (subset >> c & 1) pending[c].apply(names);
    }
    for (int mode = 0; mode < 4; ++mode) {
      DiskState state;
      for (const auto& [path, content] : names) state[path] = survived(*content, mode);
      states.insert(state);
      for (const fs::path& folder : lost_folders) {
        DiskState without = state;
        for (const auto& [path, bytes] : state) {
          if (path.parent_path() == folder) without.erase(path);
        }
        states.insert(without);
      }
    }
  }
  return {states.begin(), states.end()};
}

DiskState read_disk(const fs::path& root) {
  DiskState disk;
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    if (!entry.is_regular_file()) continue;
    std::ostringstream bytes;
    bytes << std::ifstream(entry.path(), std::ios::binary).rdbuf();
    disk[entry.path()] = bytes.str();
  }
  return disk;
}

void write_disk(const DiskState& disk, const fs::path& was, const fs::path& root) {
  fs::remove_all(root);
  fs::create_directories(root);
  for (const auto& [path, bytes] : disk) {
    const fs::path target = root / path.lexically_relative(was);
    fs::create_directories(target.parent_path());
    std::ofstream(target, std::ios::binary) << bytes;
  }
}

}  // namespace psanet::tests
