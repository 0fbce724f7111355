#include "data/prepare/prepare.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "data/error.h"
#include "data/file_bytes.h"
#include "data/prepare/layout.h"
#include "data/samples.h"
#include "engine/json/text.h"

namespace psanet::data {
namespace {

namespace fs = std::filesystem;

FoundDataset find_files(const Dataset& dataset, const PrepareOptions& options) {
  if (dataset.name == "ade20k") return find_ade20k(options);
  if (dataset.name == "voc2012") return find_voc2012(dataset, options);
  if (dataset.name == "cityscapes") return find_cityscapes(options);
  if (dataset.name == "camvid") return find_camvid(options);
  throw DataError(
      fmt::format("prepare knows no official layout of \"{}\"; {}; for other data write the lists yourself "
                  "(docs/data.md)",
                  dataset.name, suggestion(dataset.name, preparable_datasets())));
}

/// Numbers that differ from the official release's.
std::string differing_counts(const FoundDataset& found) {
  std::vector<std::string> parts;
  for (const FoundSplit& s : found.splits) {
    if (s.files.size() != s.official)
      parts.push_back(fmt::format("{} has {} of {}", s.split, s.files.size(), s.official));
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

std::string list_text(const FoundSplit& split, const fs::path& root) {
  const auto name = [&](const fs::path& file) { return file.lexically_relative(root).generic_string(); };
  std::string text;
  for (const auto& [image, label] : split.files) {
    const std::string image_name = name(image), label_name = label.empty() ? "" : name(label);
    // With a tab between them names may hold spaces; a line without a label has a tab at its end then.
    const bool spaces = (image_name + label_name).find(' ') != std::string::npos;
    text += image_name;
    if (!label.empty()) text += (spaces ? "\t" : " ") + label_name;
    if (label.empty() && spaces) text += "\t";
    text += "\n";
  }
  return text;
}

void refuse_other_contents(const fs::path& list, const std::string& text) {
  if (!is_there(list)) return;
  const auto bytes = read_file_bytes(list);
  if (std::string(bytes.begin(), bytes.end()) == text) return;
  throw DataError(
      fmt::format("{} is there with other contents; move it away, or give --overwrite to replace it", list.string()));
}

}  // namespace

std::vector<std::string> preparable_datasets() {
  return {"ade20k", "voc2012", "cityscapes", "camvid"};
}

PrepareReport prepare_dataset(const Dataset& dataset, const PrepareOptions& options) {
  PrepareOptions normal = options;  // "data/" and "data" name the same files the same way
  normal.root = options.root.lexically_normal();
  if (!normal.root.has_filename() && normal.root.has_parent_path()) normal.root = normal.root.parent_path();
  FoundDataset found = find_files(dataset, normal);

  for (const FoundSplit& split : found.splits) {
    if (split.files.empty()) {
      throw DataError(fmt::format("{}: not one image of the split {} below {}; copy the data set there", dataset.name,
                                  split.split, normal.root.string()));
    }
    // The first label stands for all: another coding, or colours, are seen at once. All are looked at by `check`.
    if (const fs::path& label = split.files.front().second; is_there(label)) load_label(dataset, label);
  }
  PrepareReport report;
  report.remarks = found.remarks;
  if (const std::string counts = differing_counts(found); !counts.empty()) {
    if (!options.partial) {
      throw DataError(
          fmt::format("{}: {} is not the complete release: {} images; copy the rest, or give --partial to "
                      "use what is there",
                      dataset.name, normal.root.string(), counts));
    }
    report.remarks.push_back(fmt::format("not the complete release: {} images", counts));
  }

  std::vector<std::string> texts;
  for (const FoundSplit& split : found.splits) {
    const fs::path list = normal.root / dataset.lists.at(split.split);
    texts.push_back(list_text(split, normal.root));
    if (!options.overwrite) refuse_other_contents(list, texts.back());
    report.splits.push_back({split.split, list, split.files.size(), split.official});
  }
  if (found.finish) found.finish();
  for (std::size_t i = 0; i < texts.size(); ++i) {
    make_folder(report.splits[i].list.parent_path());
    write_file_text(report.splits[i].list, texts[i]);
  }
  return report;
}

}  // namespace psanet::data
