#include "apps/evaluation.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "apps/progress.h"
#include "data/confusion_picture.h"
#include "data/image_formats.h"
#include "data/read_ahead.h"
#include "engine/atomic_file.h"

namespace psanet::apps {

std::string Evaluation::pace() const {
  return fmt::format("{} images in {:.1f} s ({:.2f} a second), of which {:.1f} s waiting for images", images, seconds,
                     seconds > 0 ? static_cast<double>(images) / seconds : 0.0, waited_seconds);
}

namespace {

/// The labels of one image, which the predictor has counted where it made them itself; empty if nobody asked for them.
data::LabelMap predict(models::Predictor& predictor, const data::LabelledImage& sample, const EvaluationHooks& hooks,
                       bool for_sink) {
  if (hooks.labels) return hooks.labels(sample.image);
  const data::FloatImage image(sample.image);
  const models::FloatImageView view{image.height, image.width, image.pixels.data()};
  data::LabelMap prediction;
  if (sample.label.labels.empty()) {
    prediction.labels = predictor.labels(view);
  } else {
    predictor.score(view, sample.label.labels);
    if (!hooks.sink || !for_sink) return {};
    prediction.labels = predictor.last_labels();
  }
  prediction.height = image.height;
  prediction.width = image.width;
  return prediction;
}

/// The label map that rank `owner` has, on every rank.
data::LabelMap of_rank(Communicator& ranks, int owner, data::LabelMap own) {
  if (ranks.world() == 1) return own;
  int64_t size[] = {own.height, own.width};
  ranks.broadcast("prediction", std::as_writable_bytes(std::span(size)), owner);
  own.height = static_cast<int>(size[0]);
  own.width = static_cast<int>(size[1]);
  own.labels.resize(static_cast<size_t>(size[0] * size[1]));
  ranks.broadcast("prediction", std::as_writable_bytes(std::span(own.labels)), owner);
  return own;
}

}  // namespace

data::ConfusionMatrix over_ranks(const data::ConfusionMatrix& own, Communicator& ranks) {
  std::vector<int64_t> counts = own.counts();
  ranks.all_reduce("scores", counts);
  data::ConfusionMatrix all(own.classes());
  all.add_counts(counts);
  return all;
}

Evaluation evaluate(models::Predictor& predictor, const data::Dataset& dataset,
                    const std::vector<data::Sample>& samples, const std::string& title, const EvaluationHooks& hooks,
                    Communicator& ranks) {
  const auto rank = static_cast<size_t>(ranks.rank()), world = static_cast<size_t>(ranks.world());
  std::vector<data::Sample> own;
  for (size_t i = rank; i < samples.size(); i += world) own.push_back(samples[i]);
  Evaluation result{data::ConfusionMatrix(dataset.class_count())};
  data::ReadAhead decoded(dataset, own);
  Progress progress(title, static_cast<int64_t>(samples.size()));
  predictor.clear_confusion();
  data::ConfusionMatrix so_far(dataset.class_count());
  double looked_seconds = -1;
  // In rounds of an image a rank, all together: nobody waits for others longer than for an image.
  for (size_t first = 0; first < samples.size(); first += world) {
    const size_t end = std::min(first + world, samples.size());
    if (hooks.before_each) hooks.before_each();
    data::LabelMap prediction;
    if (first + rank < end) {
      const data::LabelledImage sample = decoded.next();
      const bool labelled = !sample.label.labels.empty();
      prediction = predict(predictor, sample, hooks, first + rank < hooks.sink_most);
      if (labelled && hooks.labels) predictor.count(prediction.labels, sample.label.labels);
      result.scored |= labelled;
    }
    for (size_t i = first; hooks.sink && i < std::min(end, hooks.sink_most); ++i) {
      const data::LabelMap shown =
          of_rank(ranks, static_cast<int>(i - first), i == first + rank ? prediction : data::LabelMap());
      if (rank == 0) hooks.sink(samples[i], shown);
    }
    std::string text = result.scored ? "" : "no labels: nothing is scored";
    if (result.scored) {
      // Reading the counts waits for the device.
      if (progress.seconds() > looked_seconds + 1 || end == samples.size()) {
        looked_seconds = progress.seconds();
        so_far = data::ConfusionMatrix(dataset.class_count());
        so_far.add_counts(predictor.confusion());
      }
      text = fmt::format("mIoU {:.2f}{}", 100 * so_far.mean_iou(), world > 1 ? " (of rank 0)" : "");
    }
    progress.update(static_cast<int64_t>(end), fmt::format("{}  data wait {:.1f} s", text, decoded.waited_seconds()));
  }
  int64_t scored = result.scored ? 1 : 0;
  ranks.all_reduce("scored", std::span(&scored, 1));
  result.scored = scored > 0;
  data::ConfusionMatrix own_scores(dataset.class_count());
  own_scores.add_counts(predictor.confusion());
  result.scores = over_ranks(own_scores, ranks);
  result.images = static_cast<int64_t>(samples.size());
  result.seconds = progress.seconds();
  result.waited_seconds = decoded.waited_seconds();
  return result;
}

std::string summary(const data::ConfusionMatrix& scores) {
  return fmt::format("mIoU {:.2f}  mAcc {:.2f}  pixel accuracy {:.2f} (%)", 100 * scores.mean_iou(),
                     100 * scores.mean_accuracy(), 100 * scores.pixel_accuracy());
}

std::string class_table(const data::Dataset& dataset, const data::ConfusionMatrix& scores) {
  size_t width = 5;
  for (const data::ClassInfo& c : dataset.classes) width = std::max(width, c.name.size());
  std::string text = fmt::format("{:<{}}  {:>7}  {:>9}  {:>8}\n", "class", width, "IoU %", "accuracy %", "pixels %");
  const auto pixels = static_cast<double>(std::max<int64_t>(scores.pixels(), 1));
  for (int c = 0; c < dataset.class_count(); ++c) {
    const std::string& name = dataset.classes[static_cast<size_t>(c)].name;
    if (!scores.present(c)) {
      text += fmt::format("{:<{}}  {:>7}  {:>9}  {:>8}\n", name, width, "n/a", "n/a", "0.00");
      continue;
    }
    text += fmt::format("{:<{}}  {:>7.2f}  {:>9.2f}  {:>8.2f}\n", name, width, 100 * scores.iou(c),
                        100 * scores.accuracy(c), 100 * static_cast<double>(scores.target(c)) / pixels);
  }
  text += fmt::format("mean over all {} classes (absent ones count 0): {}\n", dataset.class_count(), summary(scores));
  text += fmt::format("mean over the classes that occur: mIoU {:.2f}  mAcc {:.2f} (%)\n",
                      100 * scores.mean_iou_present(), 100 * scores.mean_accuracy_present());
  return text;
}

void write_scores(const std::filesystem::path& folder, const data::Dataset& dataset,
                  const data::ConfusionMatrix& scores, const std::string& protocol) {
  std::filesystem::create_directories(folder);
  nlohmann::ordered_json metrics = {{"protocol", protocol},
                                    {"dataset", dataset.name},
                                    {"pixels", scores.pixels()},
                                    {"mIoU", scores.mean_iou()},
                                    {"mAcc", scores.mean_accuracy()},
                                    {"pixel_accuracy", scores.pixel_accuracy()},
                                    {"mIoU_present_classes", scores.mean_iou_present()},
                                    {"mAcc_present_classes", scores.mean_accuracy_present()}};
  std::string table = "class,iou,accuracy,target_pixels,predicted_pixels\n";
  for (int c = 0; c < dataset.class_count(); ++c) {
    const std::string& name = dataset.classes[static_cast<size_t>(c)].name;
    metrics["classes"].push_back(
        {{"name", name},
         {"iou", scores.present(c) ? nlohmann::ordered_json(scores.iou(c)) : nlohmann::ordered_json()},
         {"accuracy", scores.target(c) > 0 ? nlohmann::ordered_json(scores.accuracy(c)) : nlohmann::ordered_json()}});
    table += fmt::format("\"{}\",{},{},{},{}\n", name, scores.present(c) ? fmt::format("{:.6f}", scores.iou(c)) : "n/a",
                         scores.target(c) > 0 ? fmt::format("{:.6f}", scores.accuracy(c)) : "n/a", scores.target(c),
                         scores.prediction(c));
  }
  std::string confusion = "truth \\ prediction";
  for (const data::ClassInfo& c : dataset.classes) confusion += fmt::format(",\"{}\"", c.name);
  confusion += "\n";
  const auto n = static_cast<size_t>(dataset.class_count());
  for (size_t truth = 0; truth < n; ++truth) {
    confusion += fmt::format("\"{}\"", dataset.classes[truth].name);
    for (size_t p = 0; p < n; ++p) confusion += fmt::format(",{}", scores.counts()[truth * n + p]);
    confusion += "\n";
  }
  write_text_atomically(folder / "metrics.json", metrics.dump(2) + "\n");
  write_text_atomically(folder / "classes.csv", table);
  write_text_atomically(folder / "confusion.csv", confusion);
  const std::vector<std::string> names = dataset.names();
  const data::Image picture =
      data::draw_confusion(scores, names, fmt::format("{}: {}", dataset.name, summary(scores)), protocol);
  const std::vector<uint8_t> png = data::encode_png(picture, "confusion.png");
  write_text_atomically(folder / "confusion.png", {reinterpret_cast<const char*>(png.data()), png.size()});
  write_text_atomically(folder / "classes.txt", class_table(dataset, scores) + protocol + "\n");
}

}  // namespace psanet::apps
