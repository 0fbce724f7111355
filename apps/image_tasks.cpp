#include "apps/image_tasks.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "data/list_file.h"
#include "data/samples.h"
#include "engine/error.h"

namespace psanet::apps {

namespace {

namespace fs = std::filesystem;

std::string lower_extension(const fs::path& path) {
  std::string extension = path.extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return extension;
}

bool looks_like_image(const fs::path& path) {
  static const std::set<std::string> known = {".jpg", ".jpeg", ".png", ".bmp", ".ppm", ".tga", ".gif"};
  return known.count(lower_extension(path)) > 0;
}

void add(std::vector<ImageTask>& tasks, const fs::path& image, const fs::path& truth = {}) {
  tasks.push_back({image, truth, image.stem().string()});
}

void add_folder(std::vector<ImageTask>& tasks, const fs::path& folder) {
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.is_regular_file() && looks_like_image(entry.path())) found.push_back(entry.path());
  }
  if (found.empty()) {
    throw ConfigError(fmt::format("{}: the folder has no images (jpg, png, bmp, ppm, tga, gif)", folder.string()));
  }
  std::sort(found.begin(), found.end());
  for (const auto& file : found) add(tasks, file);
}

void add_list(std::vector<ImageTask>& tasks, const fs::path& list, const fs::path& root) {
  const std::vector<data::ListLine> lines = data::read_list_lines(list);
  if (lines.empty()) throw ConfigError(fmt::format("{}: the list has no images", list.string()));
  for (const data::ListLine& line : lines) {
    if (const std::string complaint = data::complaint_about(line, false); !complaint.empty())
      throw ConfigError(fmt::format("{}, line {}: {}", list.string(), line.number, complaint));
    const auto place = [&](const std::string& name) {
      if (!root.empty() && fs::exists(root / name)) return root / name;
      const fs::path path = list.parent_path() / name;
      if (!fs::exists(path))
        throw ConfigError(fmt::format("{}, line {}: no such file: {}", list.string(), line.number, name));
      return path;
    };
    add(tasks, place(line.names[0]), line.names.size() > 1 ? place(line.names[1]) : fs::path());
  }
}

}  // namespace

std::vector<ImageTask> tasks_of(const std::vector<std::string>& paths, const fs::path& root) {
  std::vector<ImageTask> tasks;
  for (const std::string& text : paths) {
    const fs::path path(text);
    if (fs::is_directory(path)) {
      add_folder(tasks, path);
    } else if (!fs::is_regular_file(path)) {
      throw ConfigError(fmt::format("{}: no such file or folder", text));
    } else if (lower_extension(path) == ".txt") {
      add_list(tasks, path, root);
    } else {
      add(tasks, path);
    }
  }
  std::set<std::string> names;
  for (const ImageTask& task : tasks) {
    if (!names.insert(task.name).second) {
      throw ConfigError(fmt::format(
          "{}: another image is named {} too and would write the same files; predict them into different folders",
          task.image.string(), task.name));
    }
  }
  return tasks;
}

std::vector<ImageTask> tasks_of_split(const data::Dataset& dataset, const fs::path& root, const std::string& split,
                                      int64_t limit) {
  std::vector<ImageTask> tasks;
  for (const data::Sample& sample : data::read_list(dataset, root, split)) {
    if (limit > 0 && static_cast<int64_t>(tasks.size()) >= limit) break;
    add(tasks, sample.image, sample.label);
  }
  return tasks;
}

}  // namespace psanet::apps
