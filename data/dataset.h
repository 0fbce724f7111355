// What a dataset is: its classes, how label files encode them, and which list files name its images.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "data/image.h"

namespace psanet::data {

struct ClassInfo {
  std::string name;
  Rgb color;
};

/// A dataset.json in memory; docs/data.md describes the keys.
struct Dataset {
  std::string name;
  std::filesystem::path file;  ///< where it was read from, for messages
  std::vector<ClassInfo> classes;
  Rgb ignore_color;                          ///< how pictures show pixels without a class
  std::array<std::int16_t, 256> class_of{};  ///< file value -> class index, kIgnore, or -1: not a value of this dataset
  std::map<std::string, std::string> lists;  ///< split -> list file, relative to the data root

  int class_count() const { return int(classes.size()); }
  /// The list file of a split; DataError if there is no such split.
  const std::string& list_of(const std::string& split) const;
  std::vector<std::string> names() const;
  std::vector<Rgb> palette() const;
  /// The value a label file of this dataset uses for a class (the smallest if several): what test servers want back.
  std::uint8_t file_value(int class_index) const;
  /// A palette of 256 colours for label PNGs of file values, so that any viewer shows them in colour: a value's class
  /// colour, `ignore_color` for 255, black for other values that are no class.
  std::vector<Rgb> file_palette() const;
};

/// The folder with the dataset descriptions that come with psanet (engine/home.h).
std::filesystem::path descriptions_dir();

/// Names of the datasets that come with psanet, sorted.
std::vector<std::string> known_datasets();

/// `name_or_path`: a known name ("ade20k") or the path of a dataset.json (or of a folder that holds one).
/// Unknown keys and impossible values are DataErrors that name the JSON path and what was wanted.
Dataset load_dataset(const std::string& name_or_path);

/// The same from a parsed document; `file` is only used in messages.
Dataset dataset_from_json(const nlohmann::json& document, const std::filesystem::path& file);

}  // namespace psanet::data
