// Bilinear resize and softmax cross entropy in one op: logits at label resolution are never in memory.
#pragma once

#include "engine/autodiff.h"
#include "engine/lowering.h"
#include "engine/op.h"

namespace psanet::layers {

/// loss_sum [1] and valid [1]: sum of -log softmax(resize(logits))[label] over the pixels whose label is not `ignore`,
/// and their number; third, the gradient of loss_sum with respect to logits. Their quotient (DivideOrZero) is the loss:
/// a batch without valid pixels gives 0 (SPEC 3). Inputs: logits [N,h,w,C], label u8 [N,H,W].
struct ResizeCrossEntropy {
  static constexpr const char* kName = "resize_cross_entropy";
  int64_t ignore = 255;
  bool align_corners = true;
  void fields(Fields& f) {
    f("ignore", ignore, "label of pixels that do not count");
    f("align_corners", align_corners, "of the resize to the label's size");
  }
  Types infer(const Types& in) const;
  Values grad(Gradient& g) const;
  Launch lower(Lowering& l) const;
  std::vector<int> skippable() const { return {2}; }
};

/// counts i64 [C,C], row = truth, column = prediction; inputs prediction and truth, u8 of the same shape.
struct ConfusionCounts {
  static constexpr const char* kName = "confusion_counts";
  int64_t classes = 2, ignore = 255;
  void fields(Fields& f) {
    f("classes", classes, "number of classes");
    f("ignore", ignore, "label of pixels that do not count");
  }
  Types infer(const Types& in) const;
  Launch lower(Lowering& l) const;
};

}  // namespace psanet::layers
