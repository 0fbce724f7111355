// Runs a network over whole images as a test protocol says (SPEC 6): scales, windows, mirror images, averages.
#pragma once

#include <optional>

#include "engine/growing_buffer.h"
#include "models/axis_taps.h"
#include "models/sized_programs.h"

namespace psanet::models {

/// A photograph as floats 0..255, [H,W,3] RGB.
struct FloatImageView {
  int64_t height = 0, width = 0;
  const float* pixels = nullptr;
};

/// Adds the resize to the crop's size and the softmax to a model's evaluation graph: output "probabilities"
/// [N,crop,crop,C]. Without the softmax: output "logits" of that shape.
Graph prediction_graph(const Graph& evaluation, Target target = {}, bool softmax = true);

/// Images go to the device and labels, probabilities or confusion counts come back; everything between stays there, in
/// memory that grows to what the largest image needs and is then used again.
class Predictor {
 public:
  /// `evaluation`: a graph with the input "image" [batch, crop_h, crop_w, 3] and the output "logits". `batch` windows
  /// (mirror images counted) go through it at a time; the results do not depend on it. The protocol `whole` needs
  /// `resizable` (ConfigError without); its programs are kept while they take at most `programs_bytes`.
  Predictor(Device& device, const Graph& evaluation, Parameters& parameters, ProtocolOptions options,
            std::optional<ResizableNetwork> resizable = {}, int64_t programs_bytes = int64_t{2} << 30);

  Predictor(Predictor&&) = delete;  // its programs are built by a function that refers to it
  Predictor& operator=(Predictor&&) = delete;

  int64_t classes() const { return classes_; }
  const ProtocolOptions& options() const { return options_; }

  /// Class probabilities [H,W,C] at the image's own size, averaged over scales, windows and mirror images.
  const std::vector<float>& probabilities(const FloatImageView& image);
  /// The class with the largest probability (the first of equals) [H,W].
  std::vector<uint8_t> labels(const FloatImageView& image);

  /// Predicts the image and adds to the confusion counts. truth [H,W]: classes, or 255 for pixels that do not count.
  void score(const FloatImageView& image, std::span<const uint8_t> truth);
  /// The labels [H,W] of the last image that labels() or score() predicted.
  std::vector<uint8_t> last_labels() const;
  /// Adds labels [H,W] that something else made, such as a CRF from probabilities().
  void count(std::span<const uint8_t> labels, std::span<const uint8_t> truth);
  /// Counts [C,C] of (truth, prediction) since clear_confusion(), truth major.
  std::vector<int64_t> confusion() const;
  void clear_confusion();

  /// Bytes on the device for planes and sums.
  int64_t buffer_bytes() const;
  /// Programs built so far: one, or for `whole` one for each size, and again those that had to make room.
  int64_t programs_built() const { return programs_.built(); }

 private:
  struct Window {
    int64_t top = 0, left = 0;
    bool mirrored = false;
  };

  void predict(const FloatImageView& image);
  void predict_labels(const FloatImageView& image);
  void count(const uint8_t* labels, std::span<const uint8_t> truth);  // labels on the device
  void add_scale(const FloatImageView& image, double scale);
  void list_windows(bool plain, bool mirrored);
  void run_windows(SizedProgram& program, PlaneSize window, int64_t plane_w);
  void gather(const Window& window, PlaneSize size, int64_t plane_w, const float* scores);
  kernels::AxisTaps on_device(const HostTaps& taps, GrowingBuffer& index, GrowingBuffer& weight);

  Device& device_;
  ProtocolOptions options_;
  const ProtocolRules& rules_;
  std::optional<ResizableNetwork> resizable_;
  int64_t batch_ = 0, classes_ = 0;
  PlaneSize crop_;
  SizedPrograms programs_;

  PlaneSize image_size_;  // of the last image
  GrowingBuffer picture_{device_}, plane_{device_}, accumulated_{device_}, pair_{device_}, sum_{device_},
      labels_{device_}, truth_{device_}, counts_{device_};
  GrowingBuffer row_index_{device_}, row_weight_{device_}, column_index_{device_}, column_weight_{device_};
  HostTaps rows_, columns_;
  std::vector<int64_t> tops_, lefts_;
  std::vector<int32_t> row_visits_, column_visits_;
  std::vector<Window> windows_;
  std::vector<float> probabilities_;
};

}  // namespace psanet::models
