#include "data/metrics.h"

#include "data/error.h"
#include "tests/data/made_up.h"

using namespace psanet::data;
using namespace psanet::tests;

TEST_CASE("metrics of a hand-worked example, with both means over classes") {
  ConfusionMatrix m(4);  // class 3 never occurs
  const std::vector<std::uint8_t> truth = {0, 0, 0, 1, 1, 255, 0};
  const std::vector<std::uint8_t> guess = {0, 0,   1, 1,
                                           2, 200, 0};  // what is predicted on an ignored pixel does not matter
  m.add(std::span(guess), std::span(truth));
  CHECK(m.pixels() == 6);
  CHECK(m.iou(0) == Approx(3.0 / 4));
  CHECK(m.iou(1) == Approx(1.0 / 3));
  CHECK(m.iou(2) == 0);
  CHECK(m.present(2));
  CHECK(!m.present(3));
  CHECK(m.mean_iou() == Approx((0.75 + 1.0 / 3) / 4));
  CHECK(m.mean_iou_present() == Approx((0.75 + 1.0 / 3) / 3));
  CHECK(m.mean_accuracy() == Approx((0.75 + 0.5) / 4));
  CHECK(m.mean_accuracy_present() == Approx((0.75 + 0.5) / 2));
  CHECK(m.pixel_accuracy() == Approx(4.0 / 6));
}

TEST_CASE("adding images one by one, merging, and adding counts agree") {
  ConfusionMatrix all(5), a(5), b(5), counted(5);
  for (int i = 0; i < 4; ++i) {
    const LabelMap truth = made_up_label(20, 30, 5, i);
    LabelMap guess = made_up_label(20, 30, 5, i + 1);
    for (auto& v : guess.labels) v = v == kIgnore ? std::uint8_t(0) : v;
    all.add(guess, truth);
    (i % 2 ? a : b).add(guess, truth);
  }
  a.merge(b);
  counted.add_counts(all.counts());
  CHECK(a.counts() == all.counts());
  CHECK(counted.counts() == all.counts());
}

TEST_CASE("an empty matrix has no score and divides by nothing") {
  const ConfusionMatrix m(3);
  CHECK(m.mean_iou() == 0);
  CHECK(m.mean_iou_present() == 0);
  CHECK(m.pixel_accuracy() == 0);
}

TEST_CASE("a pixel without prediction is wrong: it counts in its class's target and union and in no prediction") {
  ConfusionMatrix m(2), other(2);
  const std::vector<std::uint8_t> truth = {0, 0, 1, 255}, guess = {0, 255, 1, 255};
  m.add(std::span(guess), std::span(truth));
  other.merge(m);
  for (const ConfusionMatrix& s : {m, other}) {
    CHECK(s.pixels() == 3);
    CHECK(s.target(0) == 2);
    CHECK(s.prediction(0) == 1);
    CHECK(s.iou(0) == Approx(0.5));
    CHECK(s.pixel_accuracy() == Approx(2.0 / 3));
  }
}

TEST_CASE("labels that are no class are refused and add nothing") {
  ConfusionMatrix m(2);
  contains(message_of<DataError>([&] { m.add(LabelMap(1, 1, 0), LabelMap(1, 1, 2)); }), "truth 2");
  contains(message_of<DataError>([&] { m.add(LabelMap(1, 1, 2), LabelMap(1, 1, 0)); }), "prediction 2");
  contains(message_of<DataError>([&] { m.add(LabelMap(1, 2), LabelMap(2, 1)); }), "2 x 1");
  CHECK_THROWS_AS(m.merge(ConfusionMatrix(3)), DataError);
  CHECK(m.pixels() == 0);
}
