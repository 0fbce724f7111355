#include "data/dataset.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <system_error>

#include "data/error.h"
#include "engine/home.h"
#include "engine/json/text.h"

namespace psanet::data {

const std::string& Dataset::list_of(const std::string& split) const {
  if (const auto found = lists.find(split); found != lists.end()) return found->second;
  std::vector<std::string> splits;
  for (const auto& [known, list] : lists) splits.push_back(known);
  throw DataError(fmt::format("{}: no list for the split \"{}\"; {}", file.string(), split, suggestion(split, splits)));
}

std::vector<std::string> Dataset::names() const {
  std::vector<std::string> result;
  for (const ClassInfo& c : classes) result.push_back(c.name);
  return result;
}

std::vector<Rgb> Dataset::palette() const {
  std::vector<Rgb> result;
  for (const ClassInfo& c : classes) result.push_back(c.color);
  return result;
}

std::uint8_t Dataset::file_value(int class_index) const {
  const auto found = std::find(class_of.begin(), class_of.end(), class_index);
  if (class_index < 0 || class_index >= class_count() || found == class_of.end()) {
    throw DataError(
        fmt::format("{}: no file value stands for class {} of {}", file.string(), class_index, class_count()));
  }
  return std::uint8_t(found - class_of.begin());
}

std::vector<Rgb> Dataset::file_palette() const {
  std::vector<Rgb> result(256);
  result[kIgnore] = ignore_color;
  for (std::size_t v = 0; v < result.size(); ++v) {
    if (class_of[v] >= 0 && class_of[v] < class_count()) result[v] = classes[std::size_t(class_of[v])].color;
  }
  return result;
}

std::filesystem::path descriptions_dir() {
  return home() / "data";
}

std::vector<std::string> known_datasets() {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(descriptions_dir(), error)) {
    if (std::filesystem::exists(entry.path() / "dataset.json", error))
      names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace psanet::data
