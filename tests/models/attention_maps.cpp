// The readable attention matrix against the kernel: with the identity as values, the op's result is its matrix.
#include "models/attention_maps.h"

#include <cmath>

#include "tests/support/catch.h"
#include "tests/support/test_device.h"

namespace psanet::tests {
namespace {

struct Form {
  int64_t mask_h, mask_w;
  bool compact, softmax;
  double scale;
};

TEST_CASE("the attention matrix is what the psa kernel applies in every form") {
  const int64_t h = 3, w = 4, positions = h * w;
  for (const auto mode : {layers::PsaMode::collect, layers::PsaMode::distribute}) {
    for (const Form& form :
         {Form{5, 7, false, true, 1.0}, Form{3, 3, false, true, 1.0}, Form{4, 6, false, true, 1.0},
          Form{5, 7, false, false, 0.5}, Form{0, 0, true, true, 1.0}, Form{0, 0, true, false, 0.25}}) {
      layers::Psa psa;
      psa.mode = mode;
      psa.mask_h = form.mask_h;
      psa.mask_w = form.mask_w;
      psa.compact = form.compact;
      psa.softmax = form.softmax;
      psa.scale = form.scale;
      Graph graph;
      const Type value{DType::f32, {1, h, w, positions}};
      const kernels::PsaDims dims = layers::dims_of(psa, value);
      const Value in = graph.input("value", value);
      const Value logits = graph.input("logits", Type{DType::f32, {1, h, w, dims.logit_channels()}});
      graph.output("out", graph.add("psa", psa, {in, logits}));
      Device device = test_device();
      Parameters parameters(device);
      Program program(device, graph, parameters);
      std::vector<float> identity(static_cast<size_t>(positions * positions), 0.0f), out(identity.size());
      for (int64_t i = 0; i < positions; ++i) identity[static_cast<size_t>(i * positions + i)] = 1;
      std::vector<float> scores(static_cast<size_t>(positions * dims.logit_channels()));
      for (size_t i = 0; i < scores.size(); ++i) scores[i] = std::sin(static_cast<float>(i) * 1.7f) * 2;
      program.input("value").set(identity);
      program.input("logits").set(scores);
      program.run();
      program.output("out").get(std::span<float>(out));
      const std::vector<float> matrix = models::attention_matrix(dims, scores.data());
      float worst = 0;
      for (size_t i = 0; i < out.size(); ++i) worst = std::max(worst, std::abs(out[i] - matrix[i]));
      CHECK(worst < 1e-6f);
    }
  }
}

TEST_CASE("a collect map is a row of the matrix and a distribute map a column") {
  models::Attention a{"a", layers::PsaMode::collect, 1, 2, {1, 2, 3, 4}};
  CHECK(a.map_of(0) == std::vector<float>{1, 2});
  a.mode = layers::PsaMode::distribute;
  CHECK(a.map_of(0) == std::vector<float>{1, 3});
}

TEST_CASE("a map lies over its image and leaves out what the crop does not show") {
  const models::Attention a{"a", layers::PsaMode::collect, 1, 3, {}};
  models::Placement p;
  p.y.crop = 1;
  p.x.crop = 5;
  CHECK(models::over_image(p, a, {0, 2, 4}, 1, 5) == std::vector<float>{0, 1, 2, 3, 4});
  CHECK(std::isnan(models::over_image(p, a, {0, 2, 4}, 1, 7)[6]));
  CHECK(models::position_of(p, a, 0, 4) == 2);
  // With equal shares for the cells, the first of three covers 5/3 pixels and its middle lies at pixel 1/3.
  models::Attention shares = a;
  shares.align_corners = false;
  CHECK(models::position_of(p, shares, 0, 1) == 0);
  CHECK(models::position_of(p, a, 0, 1) == 1);
  CHECK(models::over_image(p, shares, {0, 2, 4}, 1, 5)[0] == 0);
  CHECK(models::over_image(p, shares, {0, 2, 4}, 1, 5)[1] == Approx(0.8));
}

}  // namespace
}  // namespace psanet::tests
