#include "apps/prediction_pictures.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "apps/progress.h"
#include "data/codec.h"
#include "data/picture.h"
#include "data/samples.h"
#include "engine/error.h"

namespace psanet::apps {

namespace {

bool looks_like_image(const std::filesystem::path& path) {
  std::string extension = path.extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  static const std::set<std::string> known = {".jpg", ".jpeg", ".png", ".bmp", ".ppm", ".tga", ".gif"};
  return known.count(extension) > 0;
}

}  // namespace

std::vector<PredictionTask> tasks_of(const std::vector<std::string>& paths) {
  std::vector<PredictionTask> tasks;
  for (const std::string& text : paths) {
    const std::filesystem::path path(text);
    if (std::filesystem::is_directory(path)) {
      std::vector<std::filesystem::path> found;
      for (const auto& entry : std::filesystem::directory_iterator(path)) {
        if (entry.is_regular_file() && looks_like_image(entry.path())) found.push_back(entry.path());
      }
      if (found.empty())
        throw ConfigError(fmt::format("{}: the folder has no images (jpg, png, bmp, ppm, tga, gif)", text));
      std::sort(found.begin(), found.end());
      for (const auto& file : found) tasks.push_back({file, {}, file.stem().string()});
    } else if (std::filesystem::is_regular_file(path)) {
      tasks.push_back({path, {}, path.stem().string()});
    } else {
      throw ConfigError(fmt::format("{}: no such file or folder", text));
    }
  }
  std::set<std::string> names;
  for (const PredictionTask& task : tasks) {
    if (!names.insert(task.name).second) {
      throw ConfigError(fmt::format(
          "{}: another image is named {} too and would write the same files; predict them into different folders",
          task.image.string(), task.name));
    }
  }
  return tasks;
}

std::vector<PredictionTask> tasks_of_split(const Network& network, const std::string& split, int64_t limit) {
  std::vector<PredictionTask> tasks;
  for (const data::Sample& sample : data::read_list(network.dataset, network.recipe.data_root, split)) {
    if (limit > 0 && static_cast<int64_t>(tasks.size()) >= limit) break;
    tasks.push_back({sample.image, sample.label, sample.image.stem().string()});
  }
  return tasks;
}

void write_predictions(const std::vector<Network*>& networks, const std::vector<std::string>& columns,
                       const std::vector<PredictionTask>& tasks, const std::filesystem::path& folder) {
  const data::Dataset& dataset = networks[0]->dataset;
  const std::vector<data::Rgb> palette = dataset.palette();
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) throw ConfigError(fmt::format("{}: cannot be created: {}", folder.string(), error.message()));
  Progress progress("predict", static_cast<int64_t>(tasks.size()));
  for (size_t t = 0; t < tasks.size(); ++t) {
    const PredictionTask& task = tasks[t];
    const data::Image image = data::read_image(task.image);
    std::vector<data::LabelMap> maps;
    data::Sheet sheet;
    sheet.column_titles = {"image"};
    sheet.rows = {{image}};
    if (!task.truth.empty()) {
      maps.push_back(data::load_label(dataset, task.truth));
      sheet.column_titles.emplace_back("truth");
      sheet.rows[0].push_back(data::colourise(maps.back(), dataset));
    }
    for (size_t n = 0; n < networks.size(); ++n) {
      data::LabelMap prediction = networks[n]->labels(image);
      const std::string suffix = networks.size() > 1 ? "." + columns[n] : "";
      data::write_label_png(folder / (task.name + suffix + ".png"), prediction, palette);
      sheet.column_titles.push_back(columns[n]);
      sheet.rows[0].push_back(data::colourise(prediction, dataset));
      maps.push_back(std::move(prediction));
    }
    sheet.legend = data::legend_of(dataset, maps);
    data::write_png(folder / (task.name + ".sheet.png"), data::draw_sheet(sheet));
    progress.update(static_cast<int64_t>(t) + 1, task.name);
  }
}

}  // namespace psanet::apps
