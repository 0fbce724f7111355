// The test protocols: how a figure in a table came about. Each is one row of rules that the predictor follows.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "kernels/sliding_window.h"
#include "models/pixel_input.h"

namespace psanet::models {

enum class Protocol : uint8_t {
  semseg,  // the authors' PyTorch code (SPEC 6)
  caffe,   // the authors' Caffe release, in MATLAB
  whole,   // the whole image at once
  slide    // sliding windows as mmsegmentation's
};

/// "semseg", "caffe", "whole", "slide", in the enum's order.
std::span<const char* const> choices(Protocol);
inline const char* name(Protocol protocol) {
  return choices(protocol)[static_cast<size_t>(protocol)];
}
/// ConfigError if there is none of that name.
Protocol protocol_named(const std::string& name);

/// What is averaged where windows overlap.
enum class Averaged : uint8_t {
  probabilities,  // of windows and of their mirror images
  pairs,          // probabilities of the summed scores of a window and its mirror image
  scores          // logits; the mirror image is a pass of its own, averaged after the softmax
};

/// Everything in which protocols differ.
struct ProtocolRules {
  bool matlab = false;      // sizes and resizing as MATLAB's: long side base * scale + 1, imresize, 8-bit pixels
  bool centred = true;      // padding on all sides; else at the bottom and the right
  bool whole = false;       // one window with the size of the padded image
  bool any_stride = false;  // the step between windows may be chosen
  Averaged averaged = Averaged::probabilities;
  kernels::ScoreFinish finish = kernels::ScoreFinish::none;  // after the resize to the image's size
  const char* about = "";                                    // what is averaged, in words
};
const ProtocolRules& rules_of(Protocol protocol);

struct ProtocolOptions {
  Protocol protocol = Protocol::semseg;
  int64_t base_size = 512;             // long side at scale 1; 0: the image's own size
  std::vector<double> scales = {1.0};  // multi-scale: 0.5 0.75 1 1.25 1.5 1.75
  bool mirror = true;
  int64_t stride = 0;  // pixels between windows, `slide` only; 0: ceil(2/3 crop)
  PixelInput input;    // its mean also pads images that are smaller than the crop

  /// "semseg protocol: scales 1, mirror images averaged, ...": printed beside every figure.
  std::string describe() const;
  /// ConfigError for scales that are not above 0 and a stride where the protocol has its own.
  void check() const;
};

/// Pixels.
struct PlaneSize {
  int64_t height = 0, width = 0;
  bool operator==(const PlaneSize&) const = default;
};

/// Size of an image at a scale: the long side becomes scale * base (semseg: rounded half to even; caffe: one more), the
/// other in proportion, rounded alike.
PlaneSize scaled_size(PlaneSize image, double scale, const ProtocolOptions& options);

/// First rows (or columns) of the windows that cover `size` >= crop with steps of `stride` (0: ceil(2/3 crop)), the
/// last flush with the border.
void window_starts(int64_t size, int64_t crop, int64_t stride, std::vector<int64_t>& starts);

}  // namespace psanet::models
