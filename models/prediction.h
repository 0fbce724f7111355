// The test protocol of SPEC 6: scales, sliding windows, mirror images, averaged probabilities.
#pragma once

#include <memory>

#include "engine/program.h"
#include "models/pixel_input.h"

namespace psanet::models {

/// A photograph as floats 0..255, [H,W,3] RGB.
struct FloatImageView {
  int64_t height = 0, width = 0;
  const float* pixels = nullptr;
};

struct ProtocolOptions {
  int64_t base_size = 512;             // long side at scale 1; 0: the image's own size
  std::vector<double> scales = {1.0};  // multi-scale: 0.5 0.75 1 1.25 1.5 1.75
  bool mirror = true;
  PixelInput input;  // its mean also pads images that are smaller than the crop

  /// "semseg, scales 1, mirror": printed beside every figure.
  std::string describe() const;
};

/// Height and width of an image at a scale: the long side becomes round(scale * base), the other in proportion, both
/// rounded half to even.
struct ScaledSize {
  int64_t height = 0, width = 0;
};
ScaledSize scaled_size(int64_t height, int64_t width, double scale, int64_t base_size);

/// First rows (or columns) of the windows that cover `size` with steps of ceil(2/3 crop), the last flush with the
/// border.
std::vector<int64_t> window_starts(int64_t size, int64_t crop);

/// Adds the resize to the crop's size and the softmax to a model's evaluation graph: output "probabilities"
/// [N,crop,crop,C].
Graph prediction_graph(const Graph& evaluation, Target target = {});

/// Runs a network over whole images.
class Predictor {
 public:
  /// `evaluation`: a graph with the input "image" [batch, crop_h, crop_w, 3] and the output "logits". `batch` windows
  /// (mirror images counted) go through it at a time; the results do not depend on it.
  Predictor(Device& device, const Graph& evaluation, Parameters& parameters, ProtocolOptions options);

  int64_t classes() const { return classes_; }
  const Program& program() const { return program_; }
  void refresh() { program_.refresh(); }

  /// Class probabilities [H,W,C] at the image's own size, averaged over scales, windows and mirror images.
  const std::vector<float>& probabilities(const FloatImageView& image);
  /// The class with the largest probability (the first of equals) [H,W].
  std::vector<uint8_t> labels(const FloatImageView& image);

  /// One scale's probabilities at the image's size, added into `sum` [H,W,C].
  void add_scale(const FloatImageView& image, double scale, std::vector<float>& sum);

 private:
  struct Window {
    int64_t top = 0, left = 0;
    bool mirrored = false;
  };
  void run_windows(const std::vector<float>& padded, int64_t width, const std::vector<Window>& windows,
                   std::vector<float>& accumulated);

  Program program_;
  ProtocolOptions options_;
  int64_t batch_ = 0, crop_h_ = 0, crop_w_ = 0, classes_ = 0;
  std::vector<float> batch_pixels_, batch_probabilities_, sum_;
};

}  // namespace psanet::models
