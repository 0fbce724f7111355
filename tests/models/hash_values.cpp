// The hash scheme that fills the golden networks, against its check values.
#include "tests/support/hash_values.h"

#include <fstream>
#include <nlohmann/json.hpp>

#include "engine/random.h"
#include "tests/support/catch.h"
#include "tests/support/golden.h"

namespace psanet::tests {
namespace {

using nlohmann::json;

TEST_CASE("hash scheme: the numbers printed in the golden README") {
  CHECK(hash_name("layer0.0.weight#1") == 0xc8f6e18c49de5372u);
  CHECK(random_bits(0xc8f6e18c49de5372u, 0) == 0x238de658800cc8bdu);
  CHECK(random_unit(0xc8f6e18c49de5372u, 2) == 0.7575966119766235);
  const std::vector<float> weight = hash_parameter("layer0.0.weight", 1, {64, 3, 3, 3}, false);
  CHECK(weight[0] == -0.3404634892940521f);
  CHECK(weight.back() == -0.08551044762134552f);
  CHECK(hash_values("input", 1, {0, 2}, 2)[1] == -1.9029837f);
}

TEST_CASE("golden: the hash scheme gives every check value", "[golden]") {
  const auto dir = golden_dir();
  if (!dir) return;
  std::ifstream in(*dir / "hash_test_values.json");
  const json file = json::parse(in);

  for (const auto& [name, hash] : file.at("fnv1a64").items()) {
    CHECK(hash_name(name) == std::stoull(hash.get<std::string>(), nullptr, 16));
  }
  for (const auto& [name, list] : file.at("raw64").items()) {
    for (size_t i = 0; i < list.size(); ++i)
      CHECK(random_bits(hash_name(name), i) == std::stoull(list[i].get<std::string>(), nullptr, 16));
  }
  for (const auto& [name, list] : file.at("unit").items()) {
    for (size_t i = 0; i < list.size(); ++i) CHECK(random_unit(hash_name(name), i) == list[i].get<double>());
  }

  int tensors = 0;
  for (const auto& [name, c] : file.at("psanet50_c5_mask9_seed1").items()) {
    INFO(name);
    if (name.find("num_batches_tracked") != std::string::npos) continue;
    const auto shape = c.at("shape").get<std::vector<int64_t>>();
    const HashRange range = hash_range(name, shape, false);
    CHECK(range.centre == c.at("c").get<double>());
    CHECK(range.half == Approx(c.at("a").get<double>()).epsilon(1e-15));
    const std::vector<float> values = hash_parameter(name, 1, shape, false);
    CHECK(values[0] == c.at("first")[0].get<float>());
    CHECK(values[1] == c.at("first")[1].get<float>());
    CHECK(values.back() == c.at("last").get<float>());
    double sum = 0, squares = 0;
    for (double v : values) {
      sum += v;
      squares += v * v;
    }
    CHECK(sum == Approx(c.at("sum").get<double>()).epsilon(1e-9).margin(1e-9));
    CHECK(squares == Approx(c.at("sumsq").get<double>()).epsilon(1e-9));
    ++tensors;
  }
  CHECK(tensors > 300);

  const json& input = file.at("input_seed1_2x3x65x65");
  const std::vector<float> image = hash_values("input", 1, {0, 2}, 2 * 3 * 65 * 65);
  for (size_t i = 0; i < 4; ++i) CHECK(image[i] == input.at("first")[i].get<float>());
  const json& target = file.at("target_seed1_2x65x65_classes5");
  const std::vector<uint8_t> labels = hash_labels("target", 1, 5, 2 * 65 * 65);
  int64_t ignored = 0, sum = 0;
  for (uint8_t label : labels) label == 255 ? ++ignored : sum += label;
  for (size_t i = 0; i < 16; ++i) CHECK(labels[i] == target.at("first")[i].get<int>());
  CHECK(ignored == target.at("count_ignored").get<int64_t>());
  CHECK(sum == target.at("sum_of_valid").get<int64_t>());
}

}  // namespace
}  // namespace psanet::tests
