#include "models/protocol.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "engine/error.h"

namespace psanet::models {

namespace {

constexpr std::array<const char*, 4> kNames = {"semseg", "caffe", "whole", "slide"};

using kernels::ScoreFinish;
const std::array<ProtocolRules, 4> kRules = {
    ProtocolRules{.about = "mean of probabilities over windows, mirror images and scales"},
    ProtocolRules{.matlab = true,
                  .centred = false,
                  .averaged = Averaged::pairs,
                  .finish = ScoreFinish::normalise,
                  .about = "logits of a window and its mirror image summed, mean of probabilities over windows, "
                           "renormalised at the image's size, mean over scales"},
    ProtocolRules{.centred = false,
                  .whole = true,
                  .averaged = Averaged::scores,
                  .finish = ScoreFinish::softmax,
                  .about = "logits resized to the image, mean of probabilities over mirror images and scales"},
    ProtocolRules{.centred = false,
                  .any_stride = true,
                  .averaged = Averaged::scores,
                  .finish = ScoreFinish::softmax,
                  .about =
                      "mean of logits over windows, resized to the image, mean of probabilities over mirror images "
                      "and scales"},
};

}  // namespace

std::span<const char* const> choices(Protocol) {
  return kNames;
}

Protocol protocol_named(const std::string& wanted) {
  const auto found = std::find(kNames.begin(), kNames.end(), wanted);
  if (found == kNames.end()) {
    throw ConfigError(fmt::format("--protocol: found \"{}\", want one of {}", wanted, fmt::join(kNames, ", ")));
  }
  return static_cast<Protocol>(found - kNames.begin());
}

const ProtocolRules& rules_of(Protocol protocol) {
  return kRules[static_cast<size_t>(protocol)];
}

std::string ProtocolOptions::describe() const {
  const ProtocolRules& rules = rules_of(protocol);
  const std::string long_side = base_size > 0 ? fmt::format("{}", base_size) : std::string("as the image");
  return fmt::format("{} protocol: scales {}, {}, long side {}{}, {}; {}", name(protocol), fmt::join(scales, " "),
                     mirror ? "mirror images averaged" : "no mirror images", long_side, rules.matlab ? " + 1" : "",
                     rules.whole  ? std::string("one window a scale")
                     : stride > 0 ? fmt::format("sliding windows with stride {}", stride)
                                  : std::string("sliding windows with stride 2/3"),
                     rules.about);
}

void ProtocolOptions::check() const {
  if (scales.empty()) throw ConfigError("scales: there are none, want at least one");
  for (double scale : scales) {
    if (!(scale > 0)) throw ConfigError(fmt::format("scales: found {}, want numbers above 0", scale));
  }
  if (stride < 0) throw ConfigError(fmt::format("stride: found {}, want pixels, or 0 for 2/3 of the window", stride));
  if (stride > 0 && !rules_of(protocol).any_stride) {
    throw ConfigError(
        fmt::format("stride: the {} protocol has its own; want 0, or the protocol slide", name(protocol)));
  }
}

PlaneSize scaled_size(PlaneSize image, double scale, const ProtocolOptions& options) {
  const bool matlab = rules_of(options.protocol).matlab;
  // MATLAB rounds halves away from zero, Python to even (the processor's default).
  const auto rounded = [&](double value) { return matlab ? std::llround(value) : std::llrint(value); };
  const int64_t longer = std::max(image.height, image.width), shorter = std::min(image.height, image.width);
  const double base = static_cast<double>(options.base_size > 0 ? options.base_size : longer);
  const int64_t long_side = std::max<int64_t>(1, rounded(scale * base + (matlab ? 1 : 0)));
  const int64_t other = std::max<int64_t>(
      1, rounded(static_cast<double>(long_side) / static_cast<double>(longer) * static_cast<double>(shorter)));
  return image.height > image.width ? PlaneSize{long_side, other} : PlaneSize{other, long_side};
}

void window_starts(int64_t size, int64_t crop, int64_t stride, std::vector<int64_t>& starts) {
  if (stride == 0) stride = (2 * crop + 2) / 3;  // ceil(crop * 2/3)
  starts.clear();
  const int64_t count = (size - crop + stride - 1) / stride + 1;
  for (int64_t i = 0; i < count; ++i) starts.push_back(std::min(i * stride, size - crop));
}

}  // namespace psanet::models
