#include "data/label_scores.h"

#include <fmt/format.h>

#include "data/codec.h"
#include "data/error.h"
#include "tests/data/made_up.h"
#include "tests/support/temporary_folder.h"

using namespace psanet::data;
using namespace psanet::tests;

namespace {

/// SPEC 6 in plain loops over raw ADE20K values: 0 is ignored, 1..150 are the classes.
struct PlainScores {
  double mean_iou = 0, mean_accuracy = 0, pixel_accuracy = 0;
};

PlainScores plain_scores(const std::vector<ScorePair>& pairs) {
  double iou_sum = 0, accuracy_sum = 0, right = 0, all = 0;
  std::vector<std::pair<LabelMap, LabelMap>> maps;
  for (const ScorePair& pair : pairs) maps.emplace_back(read_label(pair.truth), read_label(pair.prediction));
  for (int c = 1; c <= 150; ++c) {
    double intersection = 0, in_either = 0, in_truth = 0;
    for (const auto& [truth, prediction] : maps) {
      for (std::size_t i = 0; i < truth.labels.size(); ++i) {
        if (truth.labels[i] == 0) continue;
        const bool t = truth.labels[i] == c, p = prediction.labels[i] == c;
        intersection += t && p;
        in_either += t || p;
        in_truth += t;
      }
    }
    iou_sum += intersection / (in_either + 1e-10);
    accuracy_sum += intersection / (in_truth + 1e-10);
    right += intersection;
    all += in_truth;
  }
  return {iou_sum / 150, accuracy_sum / 150, right / all};
}

void check_same(const ConfusionMatrix& scores, const PlainScores& plain) {
  CHECK(scores.mean_iou() == Approx(plain.mean_iou).epsilon(1e-12));
  CHECK(scores.mean_accuracy() == Approx(plain.mean_accuracy).epsilon(1e-12));
  CHECK(scores.pixel_accuracy() == Approx(plain.pixel_accuracy).epsilon(1e-12));
}

}  // namespace

TEST_CASE("scores of ADE20K label files are those of the definition") {
  const TemporaryFolder folder;
  const Dataset ade = load_dataset("ade20k");
  std::vector<ScorePair> pairs;
  for (int i = 0; i < 4; ++i) {
    LabelMap truth = made_up_label(40, 50, 12, i), prediction = truth;
    for (std::size_t p = 0; p < truth.labels.size(); ++p) {
      auto& t = truth.labels[p];
      t = t == kIgnore ? std::uint8_t(0) : std::uint8_t(t + 139);
      prediction.labels[p] = (p * 31 + std::size_t(i)) % 7 < 4 ? t : std::uint8_t(1 + (t + p % 5) % 150);
      if (p % 13 == 0) prediction.labels[p] = 0;  // no class predicted: wrong, and in the union
    }
    pairs.push_back({folder / fmt::format("t{}.png", i), folder / fmt::format("p{}.png", i)});
    write_label_png(pairs.back().truth, truth);
    write_label_png(pairs.back().prediction, prediction);
  }
  const ConfusionMatrix scores = score_label_files(ade, pairs, PredictionValues::file_values, 3);
  const PlainScores plain = plain_scores(pairs);
  CHECK(plain.pixel_accuracy > 0.4);
  CHECK(plain.pixel_accuracy < 0.7);
  check_same(scores, plain);
  CHECK(score_label_files(ade, pairs, PredictionValues::file_values, 1).counts() == scores.counts());
}

TEST_CASE("the ADE20K sample scores what the definition says") {
  const std::filesystem::path sample = std::filesystem::path(PSANET_SOURCE_DIR) / "../shared/datasets/ade20k_sample";
  if (!std::filesystem::is_directory(sample)) {
    WARN("SKIPPED: ../shared/datasets/ade20k_sample not found");
    return;
  }
  const Dataset ade = load_dataset("ade20k");
  const auto truths = truths_in(sample / "annotations");
  auto pairs = pair_predictions(truths, sample / "predictions");
  REQUIRE(pairs.size() == 3);
  check_same(score_label_files(ade, pairs, PredictionValues::file_values, 2), plain_scores(pairs));

  // The predictions of the sample agree with its annotations; shifted ones do not.
  const TemporaryFolder folder;
  for (const ScoredTruth& truth : truths) {
    LabelMap label = read_label(truth.truth);
    LabelMap shifted = label;
    for (int y = 0; y < label.height; ++y) {
      for (int x = 9; x < label.width; ++x) shifted.at(y, x) = label.at(y, x - 9);
    }
    write_label_png(folder / truth.truth.filename().string(), shifted);
  }
  pairs = pair_predictions(truths, folder.path());
  const ConfusionMatrix scores = score_label_files(ade, pairs, PredictionValues::file_values, 2);
  CHECK(scores.pixel_accuracy() < 0.99);
  check_same(scores, plain_scores(pairs));
}

TEST_CASE("class indices can be scored, and values of the other coding are refused") {
  const TemporaryFolder folder;
  const Dataset cityscapes = load_dataset("cityscapes");
  LabelMap truth(1, 4);
  truth.labels = {7, 33, 26, 0};  // road, bicycle, car, unlabelled
  LabelMap indices(1, 4);
  indices.labels = {0, 18, 0, 5};
  write_label_png(folder / "t.png", truth);
  write_label_png(folder / "p.png", indices);
  const std::vector<ScorePair> pairs = {{folder / "t.png", folder / "p.png"}};
  const ConfusionMatrix scores = score_label_files(cityscapes, pairs, PredictionValues::class_indices, 1);
  CHECK(scores.pixel_accuracy() == Approx(2.0 / 3));
  CHECK(scores.iou(0) == Approx(0.5));
  write_label_png(folder / "p.png", truth);
  CHECK(message_of<DataError>([&] { score_label_files(cityscapes, pairs, PredictionValues::class_indices, 1); }) ==
        (folder / "p.png").string() +
            ": value 33 at x=1 y=0 is no class index of cityscapes (0..18); are these file values?");
}

TEST_CASE("predictions are found by the name of the truth or of the image, anywhere below their folder") {
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder / "p/bonn");
  write_label_png(folder / "p/bonn/bonn_1_leftImg8bit.png", LabelMap(1, 1));
  write_label_png(folder / "p/bonn_2_gtFine_labelIds.png", LabelMap(1, 1));
  std::vector<ScoredTruth> truths = {{"t/bonn_1_gtFine_labelIds.png", "i/bonn_1_leftImg8bit.png"},
                                     {"t/bonn_2_gtFine_labelIds.png", "i/bonn_2_leftImg8bit.png"}};
  const auto pairs = pair_predictions(truths, folder / "p");
  REQUIRE(pairs.size() == 2);
  CHECK(pairs[0].prediction == folder / "p/bonn/bonn_1_leftImg8bit.png");
  CHECK(pairs[1].prediction == folder / "p/bonn_2_gtFine_labelIds.png");
  truths.push_back({"t/bonn_3.png", {}});
  CHECK(message_of<DataError>([&] { pair_predictions(truths, folder / "p"); }) ==
        (folder / "p").string() +
            ": 1 of 3 predictions are missing, the first is bonn_3.png; scores are of whole sets: "
            "predict them, or give a list of the truths that were predicted");
  write_label_png(folder / "p/bonn_1_leftImg8bit.png", LabelMap(1, 1));
  contains(message_of<DataError>([&] { pair_predictions(truths, folder / "p"); }), "keep one");
}
