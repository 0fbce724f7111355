#include "apps/crf_options.h"

#include "engine/error.h"
#include "tests/support/catch.h"

namespace psanet::tests {

using namespace apps;

TEST_CASE("a CRF wants a model with probabilities of two classes or more") {
  check_crf_classes("m.json", 2);
  CHECK_THROWS_WITH(check_crf_classes("m.json", 1),
                    "--crf: the model m.json has 1 class: there are no class probabilities to work on");
  CHECK_THROWS_AS(crf_labels(1, {}, data::Image(2, 3), std::vector<float>(6, 1.0f), 1), ConfigError);
}

TEST_CASE("settings of the CRF come from several uses and from lists") {
  CrfOptions options;
  CHECK(!options.wanted());
  options.settings = {"bi_w=4,iterations=5", "pos_xy_std=2.5"};
  CHECK(options.wanted());
  const auto parameters = options.parameters();
  CHECK(parameters.bi_w == 4);
  CHECK(parameters.iterations == 5);
  CHECK(parameters.pos_xy_std == 2.5);
  CHECK(parameters.bi_rgb_std == 3);
}

TEST_CASE("the CRF takes certain pixels as they are") {
  // Far apart in colour: a smoothing of position alone cannot turn what is certain.
  data::Image image(1, 4);
  image.pixels = {0, 0, 0, 0, 0, 0, 250, 250, 250, 250, 250, 250};
  const data::LabelMap map = crf_labels(1, {}, image, {1, 0, 1, 0, 0, 1, 0, 1}, 2);
  CHECK(map.labels == std::vector<uint8_t>{0, 0, 1, 1});
}

}  // namespace psanet::tests
