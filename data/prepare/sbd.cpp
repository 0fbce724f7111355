#include "data/prepare/sbd.h"

#include <fmt/format.h>

#include <system_error>
#include <vector>

#include "data/codec.h"
#include "data/error.h"
#include "data/file_bytes.h"
#include "data/list_file.h"
#include "data/mat_file.h"
#include "data/prepare/layout.h"

namespace psanet::data {

namespace fs = std::filesystem;

fs::path find_sbd(const fs::path& folder) {
  for (const char* below : {"", "dataset", "benchmark_RELEASE/dataset", "SBD", "sbd", "SBD/dataset", "sbd/dataset",
                            "SBD/benchmark_RELEASE/dataset", "sbd/benchmark_RELEASE/dataset"}) {
    const fs::path place = *below ? folder / below : folder;
    if (is_folder(place / "cls")) return place;
  }
  return {};
}

std::set<std::string> sbd_names(const fs::path& sbd) {
  std::set<std::string> names;
  for (const char* list : {"train.txt", "val.txt"}) {
    for (const ListLine& line : read_list_lines(sbd / list)) names.insert(line.names[0]);
  }
  return names;
}

LabelMap read_sbd_label(const fs::path& file, int classes) {
  const MatMatrix matrix = decode_mat_matrix(read_file_bytes(file), file.string(), "GTcls", "Segmentation");
  LabelMap label(matrix.rows, matrix.columns);
  for (std::size_t i = 0; i < label.labels.size(); ++i) {
    const double value = matrix.values[i];
    if (!(value >= 0 && value < classes) || value != double(int(value))) {
      throw DataError(fmt::format("{}: GTcls.Segmentation holds {} at row {} column {}, wanted a class 0..{}",
                                  file.string(), value, i / std::size_t(matrix.columns),
                                  i % std::size_t(matrix.columns), classes - 1));
    }
    label.labels[i] = std::uint8_t(value);
  }
  return label;
}

void convert_sbd(const fs::path& sbd, const std::set<std::string>& names, const fs::path& folder,
                 const Dataset& dataset, const PrepareOptions& options) {
  const fs::path unfinished = folder.string() + ".unfinished";
  std::error_code error;
  fs::remove_all(unfinished, error);  // of a conversion that was killed
  make_folder(unfinished);
  try {
    const std::vector<std::string> order(names.begin(), names.end());
    const std::vector<Rgb> palette = dataset.file_palette();
    for_each_index(
        order.size(), options.threads,
        [&](std::size_t i) {
          const LabelMap label = read_sbd_label(sbd / "cls" / (order[i] + ".mat"), dataset.class_count());
          write_label_png(unfinished / (order[i] + ".png"), label, palette);
        },
        options.progress);
    if (is_folder(folder)) {  // adding to a conversion of an incomplete copy
      for (const std::string& name : order) fs::rename(unfinished / (name + ".png"), folder / (name + ".png"));
      fs::remove(unfinished);
    } else {
      fs::rename(unfinished, folder);
    }
  } catch (const fs::filesystem_error& problem) {
    fs::remove_all(unfinished, error);
    throw DataError(fmt::format("cannot make the folder {}: {}", folder.string(), problem.code().message()));
  } catch (...) {
    fs::remove_all(unfinished, error);
    throw;
  }
}

}  // namespace psanet::data
