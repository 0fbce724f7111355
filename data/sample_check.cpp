#include "data/sample_check.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <system_error>

#include "data/codec.h"
#include "data/error.h"
#include "data/folder_files.h"
#include "engine/random.h"

namespace psanet::data {
namespace {

namespace fs = std::filesystem;

/// Of size and pixels.
std::uint64_t hash_of(const Image& image) {
  std::string bytes = fmt::format("{} x {}: ", image.width, image.height);
  bytes.append(image.pixels.begin(), image.pixels.end());
  return hash_name(bytes);
}

/// "; there is a.jpeg" if the folder has the file under another ending.
std::string similar_file(const fs::path& file) {
  std::error_code error;
  std::vector<std::string> similar;
  for (const auto& entry : fs::directory_iterator(file.parent_path(), error)) {
    if (entry.path().stem() == file.stem()) similar.push_back(entry.path().filename().string());
  }
  if (similar.empty()) return "; copy it there or take the line out of the list";
  return fmt::format("; there is {}: correct the list", *std::min_element(similar.begin(), similar.end()));
}

/// What the values that no class has may mean, and what to do.
std::string advice(const Dataset& dataset, const std::array<std::int64_t, 256>& values) {
  int unknown = 0;
  bool only_two = true;
  for (int v = 0; v < 256; ++v) {
    if (values[std::size_t(v)] == 0) continue;
    unknown += dataset.class_of[std::size_t(v)] < 0;
    only_two = only_two && (v == 0 || v == 255);
  }
  if (only_two && dataset.class_count() > 1) return "black and white instead of class indices: write the indices";
  int ignored = -1;
  for (int v = 0; v < 256 && ignored < 0; ++v) {
    if (dataset.class_of[std::size_t(v)] == kIgnore) ignored = v;
  }
  if (dataset.class_of[kIgnore] < 0 && values[kIgnore] > 0) {
    return ignored >= 0 ? fmt::format(
                              "pixels without a class are {} in {}: the label was converted already; use the "
                              "original files",
                              ignored, dataset.name)
                        : std::string("let label_map say \"255\": \"ignore\"");
  }
  if (unknown > std::max(4, dataset.class_count() / 2)) {
    return "these look like grey levels or colours, not class indices: convert the label without scaling";
  }
  return fmt::format("correct the label, or the label_map in {}", dataset.file.string());
}

SampleFinding unknown_values(const Dataset& dataset, const fs::path& label, const SampleCheck& check) {
  constexpr std::size_t kNamed = 6;
  std::vector<std::string> named;
  std::size_t kinds = 0;
  for (std::size_t v = 0; v < 256; ++v) {
    if (check.values[v] == 0 || dataset.class_of[v] >= 0) continue;
    if (++kinds <= kNamed)
      named.push_back(fmt::format("{} ({} pixel{})", v, check.values[v], check.values[v] == 1 ? "" : "s"));
  }
  return {true, "unknown label value",
          fmt::format("{}: values that {} does not have: {}{} (it has {}); {}", label.string(), dataset.name,
                      fmt::join(named, ", "), kinds > kNamed ? fmt::format(" and {} more", kinds - kNamed) : "",
                      known_values(dataset), advice(dataset, check.values))};
}

}  // namespace

std::string known_values(const Dataset& dataset) {
  std::string text;
  for (int v = 0; v < 256; ++v) {
    if (dataset.class_of[std::size_t(v)] < 0) continue;
    int last = v;
    while (last < 255 && dataset.class_of[std::size_t(last) + 1] >= 0) ++last;
    text += fmt::format("{}{}", text.empty() ? "" : ", ", v);
    if (last > v) text += fmt::format("..{}", last);
    v = last;
  }
  return text;
}

SampleCheck check_sample(const Dataset& dataset, const Sample& sample) {
  SampleCheck result;
  const auto found = [&](bool error, const char* kind, std::string text) {
    result.findings.push_back({error, kind, std::move(text)});
  };
  const auto missing = [&](const fs::path& file) {
    if (is_file(file)) return false;
    found(true, "missing file", fmt::format("{}: no such file{}", file.string(), similar_file(file)));
    return true;
  };
  Image image;
  if (!missing(sample.image)) {
    try {
      image = read_image(sample.image);
      result.picture = hash_of(image);
    } catch (const DataError& problem) {
      found(true, "unreadable image", problem.what());
    }
  }
  if (sample.label.empty() || missing(sample.label)) return result;
  LabelMap label;
  try {
    label = read_label(sample.label);
  } catch (const DataError& problem) {
    found(true, "unreadable label", problem.what());
    return result;
  }
  for (const std::uint8_t v : label.labels) ++result.values[v];
  if (image.height > 0 && (image.height != label.height || image.width != label.width)) {
    found(true, "different sizes",
          fmt::format(
              "{}: the label is {} x {} pixels (width x height), its image {} is {} x {}; make them equal (labels "
              "by nearest neighbour)",
              sample.label.string(), label.width, label.height, sample.image.string(), image.width, image.height));
  }
  bool unknown = false, any_class = false;
  for (std::size_t v = 0; v < 256; ++v) {
    if (result.values[v] == 0) continue;
    unknown = unknown || dataset.class_of[v] < 0;
    any_class = any_class || (dataset.class_of[v] >= 0 && dataset.class_of[v] != kIgnore);
  }
  if (unknown) result.findings.push_back(unknown_values(dataset, sample.label, result));
  if (!unknown && !any_class) {
    found(false, "label without a class",
          fmt::format("{}: not one pixel has a class; nothing is learnt from it: take it out of the list",
                      sample.label.string()));
  }
  return result;
}

}  // namespace psanet::data
