// Whole images on the CUDA backend beside the processor, in every protocol.
#include "models/prediction.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "tests/device/devices.h"

namespace psanet::tests {
namespace {

TEST_CASE("prediction: probabilities, labels and counts in every protocol as on the processor") {
  using models::Protocol;
  const nlohmann::json settings = {{"classes", 5}, {"crop_h", 17}, {"crop_w", 33},     {"stem_1", 8},
                                   {"stem_2", 8},  {"stem_3", 16}, {"psa_channels", 8}};
  const models::Model model = models::read_model("psanet18_small", settings);
  const int64_t h = 23, w = 30;
  std::vector<float> pixels(static_cast<size_t>(h * w * 3));
  for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<float>(i * 37 % 256);
  std::vector<uint8_t> truth(static_cast<size_t>(h * w));
  for (size_t i = 0; i < truth.size(); ++i) truth[i] = i % 9 == 0 ? 255 : static_cast<uint8_t>(i % 5);
  const models::FloatImageView image{h, w, pixels.data()};
  for (Protocol protocol : {Protocol::semseg, Protocol::caffe, Protocol::whole, Protocol::slide}) {
    CAPTURE(models::name(protocol));
    models::ProtocolOptions options;
    options.protocol = protocol;
    options.base_size = 0;
    options.scales = {0.75, 1.25};
    struct Result {
      std::vector<float> probabilities;
      std::vector<int64_t> counts;
      std::vector<uint8_t> labels;
    };
    const auto result_on = [&](Device& device) {
      Parameters parameters(device);
      models::Predictor predictor(device, model.build({layers::Mode::eval, 3}), parameters, options,
                                  models::resizable_network("psanet18_small", settings));
      Result result;
      result.probabilities = predictor.probabilities(image);
      predictor.score(image, truth);
      result.counts = predictor.confusion();
      result.labels = predictor.last_labels();
      return result;
    };
    const Result ours = result_on(processor()), theirs = result_on(gpu());
    double largest = 0;
    for (size_t i = 0; i < ours.probabilities.size(); ++i) {
      largest = std::max(largest, std::abs(static_cast<double>(ours.probabilities[i]) - theirs.probabilities[i]));
    }
    CHECK(largest < 1e-4);
    std::vector<int64_t> counted(25);
    for (size_t i = 0; i < truth.size(); ++i) {
      if (truth[i] != 255) ++counted[truth[i] * 5u + theirs.labels[i]];
    }
    CHECK(theirs.counts == counted);
  }
}

}  // namespace
}  // namespace psanet::tests
