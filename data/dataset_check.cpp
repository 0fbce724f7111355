#include "data/dataset_check.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>

#include "data/error.h"
#include "data/folder_files.h"
#include "data/list_file.h"
#include "data/sample_check.h"

namespace psanet::data {
namespace {

namespace fs = std::filesystem;

/// A split while it is being checked.
struct Work {
  CheckedSplit result;
  std::vector<int> lines;  // line number of each sample
  std::vector<Sample> samples;
  std::vector<SampleCheck> checks;
  std::vector<std::vector<Problem>> of_sample;
  std::vector<Problem> of_split;
};

/// Which splits to look at: those asked for, or all, "test" only where its list is there.
std::vector<std::string> chosen_splits(const Dataset& dataset, const fs::path& root, const CheckOptions& options) {
  for (const std::string& split : options.splits) dataset.list_of(split);
  if (!options.splits.empty()) return options.splits;
  std::vector<std::string> chosen;
  for (const char* split : {"train", "val"}) {
    if (dataset.lists.count(split)) chosen.push_back(split);
  }
  for (const auto& [split, list] : dataset.lists) {
    if (split == "train" || split == "val") continue;
    if (split != "test" || is_there(root / list)) chosen.push_back(split);
  }
  return chosen;
}

void read_lines(const Dataset& dataset, const fs::path& root, Work& work) {
  const std::string& split = work.result.split;
  const auto complain = [&](int line, const char* kind, std::string text) {
    work.of_split.push_back({Severity::error, kind, split, line, std::move(text)});
  };
  if (!is_there(work.result.list)) {
    complain(0, "missing list",
             fmt::format("{}: no such list; psanet-data prepare {} writes it, or write one \"image label\" pair a line",
                         work.result.list.string(), dataset.name));
    return;
  }
  std::vector<ListLine> lines;
  try {
    lines = read_list_lines(work.result.list);
  } catch (const DataError& problem) {
    complain(0, "missing list", problem.what());
    return;
  }
  if (lines.empty()) {
    complain(0, "empty list",
             fmt::format("{}: the list is empty, wanted one \"image label\" pair a line", work.result.list.string()));
  }
  work.result.samples = lines.size();
  for (const ListLine& line : lines) {
    if (const std::string text = complaint_about(line, split != "test"); !text.empty()) {
      complain(line.number, "malformed line", fmt::format("{}: {}", work.result.list.string(), text));
      continue;
    }
    work.lines.push_back(line.number);
    work.samples.push_back({root / line.names[0], line.names.size() == 2 ? root / line.names[1] : fs::path()});
  }
}

/// Files that two lines name, and pictures that occur under two names.
void find_repetitions(std::vector<Work>& works) {
  struct Place {
    const Work* work;
    std::size_t index;
    std::string text() const { return fmt::format("line {} of {}", work->lines[index], work->result.list.string()); }
  };
  std::map<fs::path, Place> images, labels;
  std::map<std::uint64_t, Place> pictures;
  for (Work& work : works) {
    for (std::size_t i = 0; i < work.samples.size(); ++i) {
      const Sample& sample = work.samples[i];
      const auto add = [&](Severity severity, const char* kind, std::string text) {
        work.of_sample[i].push_back({severity, kind, work.result.split, work.lines[i], std::move(text)});
      };
      const Place here{&work, i};
      const auto [image, new_image] = images.emplace(sample.image.lexically_normal(), here);
      if (!new_image) {
        const Place& first = image->second;
        const bool same_split = first.work == &work;
        add(Severity::error, same_split ? "duplicate line" : "image in two splits",
            same_split
                ? fmt::format("{}: {} names it already; take one line out", sample.image.string(), first.text())
                : fmt::format("{}: {} (split {}) names it, too; scores of one split would be no test: take it out "
                              "of one of them",
                              sample.image.string(), first.text(), first.work->result.split));
        continue;
      }
      if (!sample.label.empty()) {
        const auto [label, new_label] = labels.emplace(sample.label.lexically_normal(), here);
        if (!new_label) {
          add(Severity::error, "label used twice",
              fmt::format("{}: {} uses the same label for another image; correct one of the lines",
                          sample.label.string(), label->second.text()));
        }
      }
      if (work.checks[i].picture == 0) continue;
      const auto [picture, new_picture] = pictures.emplace(work.checks[i].picture, here);
      if (!new_picture) {
        const Place& first = picture->second;
        add(Severity::warning, "equal pictures",
            fmt::format("{}: the same pixels as {} ({}); keep one of them", sample.image.string(),
                        first.work->samples[first.index].image.string(), first.work->result.split));
      }
    }
  }
}

/// Labels with class indices (trainIds) where the dataset wants other values: every value is known, and all are wrong.
bool looks_like_class_indices(const Dataset& dataset, const std::array<std::int64_t, 256>& values) {
  int classes_above = 0;
  for (int c = 0; c < dataset.class_count(); ++c) classes_above += dataset.file_value(c) >= dataset.class_count();
  if (classes_above * 4 < dataset.class_count() || values[kIgnore] == 0) return false;
  return std::all_of(values.begin() + dataset.class_count(), values.begin() + kIgnore,
                     [](std::int64_t count) { return count == 0; });
}

void judge_split(const Dataset& dataset, Work& work) {
  std::array<std::int64_t, 256> values{};
  CheckedSplit& result = work.result;
  result.class_pixels.assign(std::size_t(dataset.class_count()), 0);
  for (const SampleCheck& check : work.checks) {
    for (std::size_t v = 0; v < 256; ++v) values[v] += check.values[v];
  }
  for (std::size_t v = 0; v < 256; ++v) {
    result.pixels += values[v];
    const int c = dataset.class_of[v];
    if (c == kIgnore) result.ignored_pixels += values[v];
    if (c >= 0 && c < dataset.class_count()) result.class_pixels[std::size_t(c)] += values[v];
  }
  if (result.pixels == 0) return;
  const auto add = [&](Severity severity, const char* kind, std::string text) {
    work.of_split.push_back({severity, kind, result.split, 0, std::move(text)});
  };
  if (looks_like_class_indices(dataset, values)) {
    add(Severity::error, "other coding",
        fmt::format(
            "{}: all labels hold 0..{} and 255 only: these look like class indices (trainIds) where file values "
            "(such as {} for {}) are wanted; use the original label files, they are mapped while reading",
            result.list.string(), dataset.class_count() - 1, dataset.file_value(dataset.class_count() - 1),
            dataset.classes.back().name));
    return;
  }
  constexpr std::size_t kNamed = 8;
  std::vector<std::string> absent;
  for (std::size_t c = 0; c < result.class_pixels.size(); ++c) {
    if (result.class_pixels[c] == 0) absent.push_back(dataset.classes[c].name);
  }
  if (absent.empty()) return;
  const std::size_t named = std::min(absent.size(), kNamed);
  add(Severity::warning, "class never occurs",
      fmt::format("{}: {} of {} classes never occur: {}{}; {}", result.list.string(), absent.size(),
                  dataset.class_count(), fmt::join(absent.begin(), absent.begin() + std::ptrdiff_t(named), ", "),
                  absent.size() > named ? ", ..." : "",
                  result.split == "train" ? "a network cannot learn them" : "they count as 0 in the official mIoU"));
}

}  // namespace

std::size_t CheckReport::count(Severity severity) const {
  return std::size_t(std::count_if(problems.begin(), problems.end(),
                                   [&](const Problem& problem) { return problem.severity == severity; }));
}

CheckReport check_dataset(const Dataset& dataset, const fs::path& root, const CheckOptions& options) {
  require_root(dataset, root);
  std::vector<Work> works;
  std::vector<std::pair<std::size_t, std::size_t>> all;  // (split, sample)
  for (const std::string& split : chosen_splits(dataset, root, options)) {
    Work& work = works.emplace_back();
    work.result.split = split;
    work.result.list = root / dataset.list_of(split);
    read_lines(dataset, root, work);
    work.checks.resize(work.samples.size());
    work.of_sample.resize(work.samples.size());
    for (std::size_t i = 0; i < work.samples.size(); ++i) all.emplace_back(works.size() - 1, i);
  }
  for_each_index(
      all.size(), options.threads,
      [&](std::size_t i) {
        Work& work = works[all[i].first];
        work.checks[all[i].second] = check_sample(dataset, work.samples[all[i].second]);
      },
      options.progress);

  for (Work& work : works) {
    for (std::size_t i = 0; i < work.samples.size(); ++i) {
      for (const SampleFinding& f : work.checks[i].findings) {
        work.of_sample[i].push_back(
            {f.error ? Severity::error : Severity::warning, f.kind, work.result.split, work.lines[i], f.text});
      }
    }
    judge_split(dataset, work);
  }
  find_repetitions(works);
  CheckReport report;
  for (Work& work : works) {
    report.problems.insert(report.problems.end(), work.of_split.begin(), work.of_split.end());
    for (const auto& problems : work.of_sample) {
      work.result.good += std::none_of(problems.begin(), problems.end(),
                                       [](const Problem& p) { return p.severity == Severity::error; });
      report.problems.insert(report.problems.end(), problems.begin(), problems.end());
    }
    report.splits.push_back(std::move(work.result));
  }
  return report;
}

}  // namespace psanet::data
