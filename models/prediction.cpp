#include "models/prediction.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "engine/error.h"
#include "layers/passes.h"
#include "layers/resize.h"
#include "layers/softmax.h"
#include "models/pixel_resize.h"

namespace psanet::models {

namespace {
int64_t round_half_even(double value) {
  return std::llrint(value);
}  // the default rounding mode
}  // namespace

std::string ProtocolOptions::describe() const {
  return fmt::format("semseg protocol: scales {}, {}, long side {}, sliding crops with stride 2/3",
                     fmt::join(scales, " "), mirror ? "mirror images averaged" : "no mirror images",
                     base_size > 0 ? fmt::format("{}", base_size) : "as the image");
}

ScaledSize scaled_size(int64_t height, int64_t width, double scale, int64_t base_size) {
  const int64_t longer = std::max(height, width);
  const int64_t long_side = round_half_even(scale * static_cast<double>(base_size > 0 ? base_size : longer));
  const auto other = [&](int64_t shorter) {
    return std::max<int64_t>(1, round_half_even(static_cast<double>(long_side) / static_cast<double>(longer) *
                                                static_cast<double>(shorter)));
  };
  return height > width ? ScaledSize{long_side, other(width)} : ScaledSize{other(height), long_side};
}

std::vector<int64_t> window_starts(int64_t size, int64_t crop) {
  const int64_t stride = (2 * crop + 2) / 3;  // ceil(crop * 2/3)
  std::vector<int64_t> starts;
  const int64_t count = (size - crop + stride - 1) / stride + 1;
  for (int64_t i = 0; i < count; ++i) starts.push_back(std::min(i * stride, size - crop));
  return starts;
}

Graph prediction_graph(const Graph& evaluation, Target target) {
  Graph graph = evaluation;
  Value logits = graph.output("logits");
  if (!logits) throw ConfigError("the model has no output \"logits\"");
  const Value image = graph.find_source("image");
  const Type crop = graph.type(image);
  if (graph.type(logits)[1] != crop[1] || graph.type(logits)[2] != crop[2]) {
    logits = graph.add("prediction.resize", layers::Resize{crop[1], crop[2], true}, {logits});
  }
  const Value probabilities = graph.add("prediction.softmax", layers::Softmax{}, {logits});
  graph.clear_outputs();
  graph.output("probabilities", probabilities);
  return layers::optimize_for_evaluation(graph, target);
}

Predictor::Predictor(Device& device, const Graph& evaluation, Parameters& parameters, ProtocolOptions options)
    : program_(device, prediction_graph(evaluation, device.target()), parameters), options_(std::move(options)) {
  const Type image = program_.graph().type(program_.graph().find_source("image"));
  const Type out = program_.graph().type(program_.graph().output("probabilities"));
  batch_ = image[0];
  crop_h_ = image[1];
  crop_w_ = image[2];
  classes_ = out[3];
  batch_pixels_.resize(static_cast<size_t>(image.elements()));
  batch_probabilities_.resize(static_cast<size_t>(out.elements()));
}

const std::vector<float>& Predictor::probabilities(const FloatImageView& image) {
  sum_.assign(static_cast<size_t>(image.height * image.width * classes_), 0.0f);
  for (double scale : options_.scales) add_scale(image, scale, sum_);
  const float share = 1.0f / static_cast<float>(options_.scales.size());
  if (options_.scales.size() > 1) {
    for (float& p : sum_) p *= share;
  }
  return sum_;
}

std::vector<uint8_t> Predictor::labels(const FloatImageView& image) {
  const std::vector<float>& p = probabilities(image);
  std::vector<uint8_t> labels(static_cast<size_t>(image.height * image.width));
  for (size_t i = 0; i < labels.size(); ++i) {
    const float* first = p.data() + i * static_cast<size_t>(classes_);
    labels[i] = static_cast<uint8_t>(std::max_element(first, first + classes_) - first);
  }
  return labels;
}

void Predictor::add_scale(const FloatImageView& image, double scale, std::vector<float>& sum) {
  const ScaledSize size = scaled_size(image.height, image.width, scale, options_.base_size);
  std::vector<float> scaled(static_cast<size_t>(size.height * size.width * 3));
  resize_half_pixel({image.height, image.width, size.height, size.width, 3}, image.pixels, scaled.data());

  // Pad with the mean to the crop's size, evenly, the odd pixel at the bottom/right; normalise on the way.
  const int64_t height = std::max(size.height, crop_h_), width = std::max(size.width, crop_w_);
  const int64_t top = (height - size.height) / 2, left = (width - size.width) / 2;
  std::vector<float> padded(static_cast<size_t>(height * width * 3), 0.0f);  // the mean, normalised, is 0
  for (int64_t y = 0; y < size.height; ++y) {
    for (int64_t x = 0; x < size.width; ++x) {
      for (int64_t c = 0; c < 3; ++c) {
        const auto k = static_cast<size_t>(c);
        const int64_t channel = options_.input.bgr ? 2 - c : c;
        padded[static_cast<size_t>(((y + top) * width + x + left) * 3 + channel)] =
            (scaled[static_cast<size_t>((y * size.width + x) * 3 + c)] - options_.input.mean[k]) /
            options_.input.std[k];
      }
    }
  }

  std::vector<Window> windows;
  std::vector<float> visits(static_cast<size_t>(height * width), 0.0f);
  for (int64_t y : window_starts(height, crop_h_)) {
    for (int64_t x : window_starts(width, crop_w_)) {
      windows.push_back({y, x, false});
      if (options_.mirror) windows.push_back({y, x, true});
      for (int64_t row = y; row < y + crop_h_; ++row) {
        for (int64_t column = x; column < x + crop_w_; ++column) visits[static_cast<size_t>(row * width + column)] += 1;
      }
    }
  }
  std::vector<float> accumulated(static_cast<size_t>(height * width * classes_), 0.0f);
  run_windows(padded, width, windows, accumulated);

  // Average over visits, cut off the padding, back to the image's size.
  std::vector<float> cut(static_cast<size_t>(size.height * size.width * classes_));
  const float per_visit = options_.mirror ? 0.5f : 1.0f;
  for (int64_t y = 0; y < size.height; ++y) {
    for (int64_t x = 0; x < size.width; ++x) {
      const auto from = static_cast<size_t>((y + top) * width + x + left);
      const auto to = static_cast<size_t>(y * size.width + x);
      const float share = per_visit / visits[from];
      for (size_t c = 0; c < static_cast<size_t>(classes_); ++c) {
        cut[to * static_cast<size_t>(classes_) + c] = accumulated[from * static_cast<size_t>(classes_) + c] * share;
      }
    }
  }
  if (size.height == image.height && size.width == image.width) {
    for (size_t i = 0; i < sum.size(); ++i) sum[i] += cut[i];
    return;
  }
  std::vector<float> resized(sum.size());
  resize_half_pixel({size.height, size.width, image.height, image.width, classes_}, cut.data(), resized.data());
  for (size_t i = 0; i < sum.size(); ++i) sum[i] += resized[i];
}

void Predictor::run_windows(const std::vector<float>& padded, int64_t width, const std::vector<Window>& windows,
                            std::vector<float>& accumulated) {
  Tensor input = program_.input("image");
  const Tensor output = program_.output("probabilities");
  const auto crop_pixels = static_cast<size_t>(crop_h_ * crop_w_);
  for (size_t first = 0; first < windows.size(); first += static_cast<size_t>(batch_)) {
    const size_t count = std::min(static_cast<size_t>(batch_), windows.size() - first);
    for (size_t b = 0; b < count; ++b) {
      const Window& w = windows[first + b];
      float* to = batch_pixels_.data() + b * crop_pixels * 3;
      for (int64_t y = 0; y < crop_h_; ++y) {
        const float* row = padded.data() + ((w.top + y) * width + w.left) * 3;
        for (int64_t x = 0; x < crop_w_; ++x) {
          const float* pixel = row + 3 * (w.mirrored ? crop_w_ - 1 - x : x);
          std::copy(pixel, pixel + 3, to + (y * crop_w_ + x) * 3);
        }
      }
    }
    input.set(batch_pixels_);
    program_.run();
    output.get(std::span<float>(batch_probabilities_));
    for (size_t b = 0; b < count; ++b) {
      const Window& w = windows[first + b];
      const float* from = batch_probabilities_.data() + b * crop_pixels * static_cast<size_t>(classes_);
      for (int64_t y = 0; y < crop_h_; ++y) {
        for (int64_t x = 0; x < crop_w_; ++x) {
          const float* p = from + (y * crop_w_ + (w.mirrored ? crop_w_ - 1 - x : x)) * classes_;
          float* sum = accumulated.data() + ((w.top + y) * width + w.left + x) * classes_;
          for (int64_t c = 0; c < classes_; ++c) sum[c] += p[c];
        }
      }
    }
  }
}

}  // namespace psanet::models
