#include "data/samples.h"

#include <fmt/format.h>

#include "data/codec.h"
#include "data/error.h"
#include "data/folder_files.h"
#include "data/list_file.h"

namespace psanet::data {
namespace {

/// One stat for each file; a wrong data root shows at once instead of in the middle of the first epoch.
void check_files(const std::vector<Sample>& samples, const std::filesystem::path& list,
                 const std::filesystem::path& root) {
  constexpr std::size_t kNamed = 3;
  std::size_t missing = 0;
  std::string named;
  const auto check = [&](const std::filesystem::path& path) {
    if (path.empty() || is_file(path)) return;
    if (missing++ < kNamed) named += fmt::format("{}{}", named.empty() ? "" : ", ", path.string());
  };
  for (const Sample& sample : samples) {
    check(sample.image);
    check(sample.label);
  }
  if (missing == 0) return;
  throw DataError(fmt::format("{}: {} of the listed files do not exist under {}: {}{}; is the data root right?",
                              list.string(), missing, root.string(), named, missing > kNamed ? ", ..." : ""));
}

}  // namespace

std::vector<Sample> read_list_file(const std::filesystem::path& list, const std::filesystem::path& root,
                                   bool labels_required) {
  std::vector<Sample> samples;
  for (const ListLine& line : read_list_lines(list)) {
    if (const std::string complaint = complaint_about(line, labels_required); !complaint.empty())
      throw DataError(fmt::format("{}: {}", list.string(), complaint));
    samples.push_back({root / line.names[0], line.names.size() == 2 ? root / line.names[1] : std::filesystem::path()});
  }
  if (samples.empty())
    throw DataError(fmt::format("{}: the list is empty, wanted one \"image label\" pair a line", list.string()));
  check_files(samples, list, root);
  return samples;
}

void require_root(const Dataset& dataset, const std::filesystem::path& root) {
  if (is_folder(root)) return;
  throw DataError(fmt::format("the data root {} of {} is not a folder", root.string(), dataset.name));
}

std::vector<Sample> read_list(const Dataset& dataset, const std::filesystem::path& root, const std::string& split) {
  const std::string& name = dataset.list_of(split);
  require_root(dataset, root);
  const std::filesystem::path list = root / name;
  if (!is_there(list)) {
    throw DataError(fmt::format(
        "no list file {} for the split \"{}\" of {}; psanet-data prepare makes the lists of known data sets; "
        "or write one with an \"image label\" pair a line, relative to the data root",
        list.string(), split, dataset.name));
  }
  return read_list_file(list, root, split != "test");
}

void apply_label_map(const Dataset& dataset, LabelMap& label, const std::filesystem::path& file) {
  for (std::size_t i = 0; i < label.labels.size(); ++i) {
    const std::int16_t value = dataset.class_of[label.labels[i]];
    if (value < 0) {
      const auto width = std::size_t(label.width);
      throw DataError(fmt::format(
          "{}: label value {} at x={} y={} is none of {}'s ({} classes); correct the file or the label_map in {}",
          file.string(), label.labels[i], i % width, i / width, dataset.name, dataset.class_count(),
          dataset.file.string()));
    }
    label.labels[i] = std::uint8_t(value);
  }
}

LabelMap load_label(const Dataset& dataset, const std::filesystem::path& path) {
  LabelMap label = read_label(path);
  apply_label_map(dataset, label, path);
  return label;
}

LabelledImage load_sample(const Dataset& dataset, const Sample& sample) {
  LabelledImage result;
  result.image = read_image(sample.image);
  if (sample.label.empty()) return result;
  result.label = load_label(dataset, sample.label);
  if (result.label.height != result.image.height || result.label.width != result.image.width) {
    throw DataError(
        fmt::format("{}: the label is {} x {} pixels (width x height) but its image {} is {} x {}; they must be equal",
                    sample.label.string(), result.label.width, result.label.height, sample.image.string(),
                    result.image.width, result.image.height));
  }
  return result;
}

}  // namespace psanet::data
