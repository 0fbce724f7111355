#include "apps/evaluation.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "apps/progress.h"
#include "data/codec.h"
#include "engine/atomic_file.h"

namespace psanet::apps {

data::ConfusionMatrix evaluate(const LabelFunction& labels, const data::Dataset& dataset,
                               const std::vector<data::Sample>& samples, const std::string& title,
                               const std::filesystem::path& prediction_folder,
                               const std::function<void()>& before_each) {
  data::ConfusionMatrix scores(dataset.class_count());
  if (!prediction_folder.empty()) std::filesystem::create_directories(prediction_folder);
  Progress progress(title, static_cast<int64_t>(samples.size()));
  for (size_t i = 0; i < samples.size(); ++i) {
    if (before_each) before_each();
    const data::LabelledImage sample = data::load_sample(dataset, samples[i]);
    const data::LabelMap prediction = labels(sample.image);
    if (!sample.label.labels.empty()) scores.add(prediction, sample.label);
    if (!prediction_folder.empty()) {
      const std::vector<data::Rgb> palette = dataset.palette();
      data::write_label_png(prediction_folder / (samples[i].image.stem().string() + ".png"), prediction, palette);
    }
    progress.update(static_cast<int64_t>(i) + 1, fmt::format("mIoU {:.2f}", 100 * scores.mean_iou()));
  }
  return scores;
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
  write_text_atomically(folder / "classes.txt", class_table(dataset, scores) + protocol + "\n");
}

}  // namespace psanet::apps
