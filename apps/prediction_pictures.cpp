#include "apps/prediction_pictures.h"

#include <fmt/format.h>

#include <optional>

#include "apps/prediction_page.h"
#include "apps/progress.h"
#include "data/codec.h"
#include "data/error.h"
#include "data/picture.h"
#include "engine/atomic_file.h"
#include "engine/error.h"

namespace psanet::apps {

TitledMaps::TitledMaps(const data::Dataset& dataset, const data::Sample& sample) {
  const data::LabelledImage labelled = data::load_sample(dataset, sample);
  image = labelled.image;
  if (!labelled.label.labels.empty()) add("truth", labelled.label);
}

void TitledMaps::add(const std::string& title, const data::LabelMap& map) {
  titles.push_back(title);
  maps.push_back(map);
}

int64_t write_predictions(const std::vector<Column>& columns, const std::vector<ImageTask>& tasks,
                          const PredictionOptions& options) {
  const data::Dataset& dataset = columns[0].network->dataset;
  const std::vector<data::Rgb> palette = dataset.palette();
  std::error_code error;
  std::filesystem::create_directories(options.folder, error);
  if (error) throw ConfigError(fmt::format("{}: cannot be created: {}", options.folder.string(), error.message()));
  std::optional<PredictionPage> page;
  if (!options.html.empty()) page.emplace("Predictions", dataset);
  Progress progress("predict", static_cast<int64_t>(tasks.size()));
  int64_t unread = 0;
  for (size_t t = 0; t < tasks.size(); ++t) {
    const ImageTask& task = tasks[t];
    std::optional<TitledMaps> shown;
    try {
      shown.emplace(dataset, data::Sample{task.image, task.truth});
    } catch (const data::DataError& e) {
      progress.print_line(fmt::format("left out: {}", e.what()));
      ++unread;
      continue;
    }
    for (const Column& column : columns) {
      const data::LabelMap prediction = column.network->labels(shown->image);
      const std::string stem = columns.size() > 1 ? task.name + "." + column.title : task.name;
      data::write_label_png(options.folder / (stem + ".png"), prediction, palette);
      if (options.overlay > 0) {
        data::write_png(options.folder / (stem + ".overlay.png"),
                        data::overlay(shown->image, data::colourise(prediction, dataset), options.overlay));
      }
      shown->add(column.title, prediction);
    }
    data::write_png(options.folder / (task.name + ".sheet.png"),
                    data::label_sheet(dataset, shown->image, shown->titles, shown->maps));
    if (page) page->add(task.name, shown->image, shown->titles, shown->maps);
    progress.update(static_cast<int64_t>(t) + 1, task.name);
  }
  progress.finish();
  if (page) write_text_atomically(options.html, page->html());
  if (unread > 0) {
    throw data::DataError(fmt::format("{} of {} images could not be read and were left out; the others are in {}",
                                      unread, tasks.size(), options.folder.string()));
  }
  return static_cast<int64_t>(tasks.size());
}

}  // namespace psanet::apps
