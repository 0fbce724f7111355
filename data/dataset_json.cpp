// The reader of dataset.json: every key is known or an error.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string_view>

#include "data/dataset.h"
#include "data/error.h"
#include "data/folder_files.h"
#include "engine/json/reader.h"
#include "engine/json/text.h"

namespace psanet::data {
namespace {

using nlohmann::json;

constexpr JsonKind kDatasetJson{raise<DataError>, true};

std::string text(const JsonReader& reader) {
  std::string text = reader.text();
  if (text.empty()) reader.wrong("a text");
  return text;
}

Rgb color(const JsonReader& reader) {
  const char* const wanted = "a colour [red, green, blue] with values 0..255";
  if (reader.items(wanted).size() != 3) reader.wrong(wanted);
  const auto value = [&](std::size_t i) { return std::uint8_t(reader.item(i).integer(0, 255)); };
  return {value(0), value(1), value(2)};
}

struct Range {
  int first = 0, last = 0;
};

/// "7" or "1-150".
std::optional<Range> parse_range(std::string_view text) {
  Range range;
  const char* end = text.data() + text.size();
  const auto first = std::from_chars(text.data(), end, range.first);
  if (first.ec != std::errc{}) return std::nullopt;
  range.last = range.first;
  if (first.ptr != end) {
    if (*first.ptr != '-') return std::nullopt;
    const auto last = std::from_chars(first.ptr + 1, end, range.last);
    if (last.ec != std::errc{} || last.ptr != end) return std::nullopt;
  }
  if (range.first < 0 || range.last < range.first) return std::nullopt;
  return range;
}

/// The classes that an entry of label_map names, or none: "ignore".
std::optional<Range> read_classes(const JsonReader& entry, const Range& from, int class_count) {
  const json& value = entry.value();
  if (value == "ignore") return std::nullopt;
  std::optional<Range> to;
  if (value.is_string()) to = parse_range(value.get_ref<const std::string&>());
  if (value.is_number()) {
    const int index = int(entry.integer(0, class_count - 1));
    to = Range{index, index};
  }
  if (!to || to->last >= class_count) {
    entry.wrong(fmt::format("\"ignore\", a class 0..{} or a range of classes", class_count - 1));
  }
  if (to->last - to->first != from.last - from.first) {
    entry.fail(fmt::format("{} file values cannot stand for {} classes", from.last - from.first + 1,
                           to->last - to->first + 1));
  }
  return to;
}

/// {"0": "ignore", "1-150": "0-149", "7": 0}: file values on the left, classes on the right.
void read_label_map(const JsonReader& reader, Dataset& dataset) {
  const auto entries = reader.members("an object of file value: class");
  if (entries.empty()) reader.wrong("an object of file value: class");
  for (const auto& [key, entry] : entries) {
    const auto from = parse_range(key);
    if (!from || from->last > 255) entry.fail("wanted a file value 0..255 or a range such as \"1-150\" as the key");
    const auto to = read_classes(entry, *from, dataset.class_count());
    for (int v = from->first; v <= from->last; ++v) {
      auto& slot = dataset.class_of[std::size_t(v)];
      if (slot >= 0) entry.fail(fmt::format("file value {} is mapped twice", v));
      slot = std::int16_t(to ? to->first + (v - from->first) : kIgnore);
    }
  }
  for (int c = 0; c < dataset.class_count(); ++c) {
    if (std::find(dataset.class_of.begin(), dataset.class_of.end(), c) == dataset.class_of.end()) {
      reader.fail(fmt::format("no file value stands for class {} ({})", c, dataset.classes[std::size_t(c)].name));
    }
  }
}

void read_classes(const JsonReader& list, Dataset& dataset) {
  const auto items = list.items("a list of classes");
  if (items.empty()) list.wrong("a list of classes");
  if (items.size() > 255) {
    list.fail(fmt::format("{} classes, at most 255 fit into an 8-bit label beside the ignore value", items.size()));
  }
  std::set<std::string> seen;
  for (const JsonReader& item : items) {
    item.only_keys({"name", "color"});
    dataset.classes.push_back({text(item.at("name")), color(item.at("color"))});
    if (!seen.insert(dataset.classes.back().name).second) {
      item.fail(fmt::format("a second class named \"{}\"", dataset.classes.back().name));
    }
  }
}

}  // namespace

Dataset dataset_from_json(const json& document, const std::filesystem::path& file) {
  const JsonReader top(document, file.string() + ": at the top", file.string() + ": at /", kDatasetJson);
  top.only_keys({"name", "about", "classes", "ignore_color", "label_map", "lists"});
  Dataset dataset;
  dataset.file = file;
  dataset.name = text(top.at("name"));
  if (const auto about = top.find("about")) text(*about);
  if (const auto ignored = top.find("ignore_color")) dataset.ignore_color = color(*ignored);
  read_classes(top.at("classes"), dataset);

  dataset.class_of.fill(-1);
  if (const auto map = top.find("label_map")) {
    read_label_map(*map, dataset);
  } else {
    for (int c = 0; c < dataset.class_count(); ++c) dataset.class_of[std::size_t(c)] = std::int16_t(c);
    dataset.class_of[kIgnore] = kIgnore;
  }

  const char* const wanted = "an object of split: list file, such as {\"train\": \"lists/train.txt\"}";
  const auto lists = top.at("lists").members(wanted);
  if (lists.empty()) top.at("lists").wrong(wanted);
  for (const auto& [split, list] : lists) dataset.lists[split] = text(list);
  return dataset;
}

Dataset load_dataset(const std::string& name_or_path) {
  std::filesystem::path file = descriptions_dir() / name_or_path / "dataset.json";
  const bool looks_like_path = name_or_path.find('/') != std::string::npos || name_or_path.ends_with(".json");
  if (name_or_path.empty() || looks_like_path || !is_there(file)) {
    file = name_or_path;
    if (is_folder(file)) file /= "dataset.json";
    if (!is_there(file)) {
      if (looks_like_path)
        throw DataError(fmt::format("cannot read the dataset description {}: no such file", file.string()));
      throw DataError(fmt::format("unknown dataset \"{}\"; {}, or give the path of a dataset.json", name_or_path,
                                  suggestion(name_or_path, known_datasets())));
    }
  }
  return dataset_from_json(read_json(file, raise<DataError>), file);
}

}  // namespace psanet::data
