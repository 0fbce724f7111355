// The reader of dataset.json: every key is known or an error.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string_view>
#include <system_error>

#include "data/dataset.h"
#include "data/error.h"
#include "data/file_bytes.h"
#include "data/nearest_name.h"

namespace psanet::data {
namespace {

using nlohmann::json;

/// A value and where it stands, so that every complaint can name file and JSON path.
class Reader {
 public:
  Reader(const json& value, std::string path, const std::filesystem::path& file)
      : value_(value), path_(std::move(path)), file_(file) {}

  [[noreturn]] void fail(const std::string& what) const {
    throw DataError(fmt::format("{}: at {}: {}", file_.string(), path_.empty() ? "the top" : path_, what));
  }
  const json& value() const { return value_; }
  const std::string& path() const { return path_; }

  void only_keys(std::initializer_list<std::string_view> keys) const {
    if (!value_.is_object()) fail(fmt::format("found {}, wanted an object", value_.type_name()));
    for (const auto& [key, unused] : value_.items()) {
      if (std::find(keys.begin(), keys.end(), key) != keys.end()) continue;
      fail(fmt::format("unknown key \"{}\"; {}", key, suggestion(key, std::vector<std::string_view>(keys))));
    }
  }
  bool has(const char* key) const { return value_.contains(key); }
  Reader get(const std::string& key) const {
    if (!value_.contains(key)) fail(fmt::format("the key \"{}\" is missing", key));
    return {value_.at(key), path_ + "/" + key, file_};
  }
  Reader item(std::size_t i) const { return {value_.at(i), fmt::format("{}/{}", path_, i), file_}; }
  std::string text() const {
    if (!value_.is_string() || value_.get_ref<const std::string&>().empty()) {
      fail(fmt::format("found {}, wanted a text", value_.dump()));
    }
    return value_.get<std::string>();
  }
  const json& list(const char* wanted) const {
    if (!value_.is_array() || value_.empty()) fail(fmt::format("found {}, wanted {}", value_.type_name(), wanted));
    return value_;
  }
  Rgb color() const {
    if (value_.is_array() && value_.size() == 3 && std::all_of(value_.begin(), value_.end(), [](const json& v) {
          return v.is_number_integer() && v.get<std::int64_t>() >= 0 && v.get<std::int64_t>() <= 255;
        })) {
      return {value_[0].get<std::uint8_t>(), value_[1].get<std::uint8_t>(), value_[2].get<std::uint8_t>()};
    }
    fail(fmt::format("found {}, wanted a colour [red, green, blue] with values 0..255", value_.dump()));
  }

 private:
  const json& value_;
  std::string path_;
  const std::filesystem::path& file_;
};

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

/// {"0": "ignore", "1-150": "0-149", "7": 0}: file values on the left, classes on the right.
void read_label_map(const Reader& reader, Dataset& dataset) {
  if (!reader.value().is_object() || reader.value().empty()) {
    reader.fail(fmt::format("found {}, wanted an object of file value: class", reader.value().type_name()));
  }
  for (const auto& [key, unused] : reader.value().items()) {
    const Reader entry = reader.get(key);
    const auto from = parse_range(key);
    if (!from || from->last > 255) entry.fail("wanted a file value 0..255 or a range such as \"1-150\" as the key");
    std::optional<Range> to;
    const json& value = entry.value();
    const bool ignore = value == "ignore";
    if (value.is_number_integer()) to = Range{value.get<int>(), value.get<int>()};
    if (value.is_string() && !ignore) to = parse_range(value.get<std::string>());
    if (!ignore) {
      if (!to || to->first < 0 || to->last >= dataset.class_count()) {
        entry.fail(fmt::format("found {}, wanted \"ignore\", a class 0..{} or a range of classes", value.dump(),
                               dataset.class_count() - 1));
      }
      if (to->last - to->first != from->last - from->first) {
        entry.fail(fmt::format("{} file values cannot stand for {} classes", from->last - from->first + 1,
                               to->last - to->first + 1));
      }
    }
    for (int v = from->first; v <= from->last; ++v) {
      auto& slot = dataset.class_of[std::size_t(v)];
      if (slot >= 0) entry.fail(fmt::format("file value {} is mapped twice", v));
      slot = std::int16_t(ignore ? kIgnore : to->first + (v - from->first));
    }
  }
  for (int c = 0; c < dataset.class_count(); ++c) {
    if (std::find(dataset.class_of.begin(), dataset.class_of.end(), c) == dataset.class_of.end()) {
      reader.fail(fmt::format("no file value stands for class {} ({})", c, dataset.classes[std::size_t(c)].name));
    }
  }
}

}  // namespace

Dataset dataset_from_json(const json& document, const std::filesystem::path& file) {
  const Reader top(document, "", file);
  top.only_keys({"name", "about", "classes", "ignore_color", "label_map", "lists"});
  Dataset dataset;
  dataset.file = file;
  dataset.name = top.get("name").text();
  if (top.has("about")) top.get("about").text();
  if (top.has("ignore_color")) dataset.ignore_color = top.get("ignore_color").color();

  const Reader classes = top.get("classes");
  const std::size_t count = classes.list("a list of classes").size();
  if (count > 255)
    classes.fail(fmt::format("{} classes, at most 255 fit into an 8-bit label beside the ignore value", count));
  std::set<std::string> seen;
  for (std::size_t i = 0; i < count; ++i) {
    const Reader item = classes.item(i);
    item.only_keys({"name", "color"});
    dataset.classes.push_back({item.get("name").text(), item.get("color").color()});
    if (!seen.insert(dataset.classes.back().name).second) {
      item.fail(fmt::format("a second class named \"{}\"", dataset.classes.back().name));
    }
  }

  dataset.class_of.fill(-1);
  if (top.has("label_map")) {
    read_label_map(top.get("label_map"), dataset);
  } else {
    for (int c = 0; c < dataset.class_count(); ++c) dataset.class_of[std::size_t(c)] = std::int16_t(c);
    dataset.class_of[kIgnore] = kIgnore;
  }

  const Reader lists = top.get("lists");
  if (!lists.value().is_object() || lists.value().empty()) {
    lists.fail("wanted an object of split: list file, such as {\"train\": \"lists/train.txt\"}");
  }
  for (const auto& [split, unused] : lists.value().items()) dataset.lists[split] = lists.get(split).text();
  return dataset;
}

Dataset load_dataset(const std::string& name_or_path) {
  std::error_code error;
  std::filesystem::path file = descriptions_dir() / name_or_path / "dataset.json";
  const bool looks_like_path = name_or_path.find('/') != std::string::npos || name_or_path.ends_with(".json");
  if (name_or_path.empty() || looks_like_path || !std::filesystem::exists(file, error)) {
    file = name_or_path;
    if (std::filesystem::is_directory(file, error)) file /= "dataset.json";
    if (!std::filesystem::exists(file, error)) {
      if (looks_like_path)
        throw DataError(fmt::format("cannot read the dataset description {}: no such file", file.string()));
      throw DataError(fmt::format("unknown dataset \"{}\"; {}, or give the path of a dataset.json", name_or_path,
                                  suggestion(name_or_path, known_datasets())));
    }
  }
  const std::vector<std::uint8_t> bytes = read_file_bytes(file);
  json document;
  try {
    document = json::parse(bytes.begin(), bytes.end());
  } catch (const json::parse_error& problem) {
    const auto line =
        1 + std::count(bytes.begin(), bytes.begin() + std::ptrdiff_t(std::min(problem.byte, bytes.size())), '\n');
    throw DataError(fmt::format("{}: line {}: not valid JSON", file.string(), line));
  }
  return dataset_from_json(document, file);
}

}  // namespace psanet::data
