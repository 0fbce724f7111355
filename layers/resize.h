// Bilinear resize.
#pragma once

#include "engine/autodiff.h"
#include "engine/lowering.h"

namespace psanet::layers {

/// y [N,height,width,C].
struct Resize {
  static constexpr const char* kName = "resize";
  int64_t height = 0, width = 0;
  bool align_corners = true;
  void fields(Fields& f) {
    f("height", height, "rows of the result");
    f("width", width, "columns of the result");
    f("align_corners", align_corners, "corner pixels map onto corner pixels (else half-pixel centres)");
  }
  Types infer(const Types& in) const;
  Values grad(Gradient& g) const;
  Launch lower(Lowering& l) const;
};

/// labels u8 [N,height,width]: the class of the largest resized score; the resized scores are never in memory.
struct ResizeArgmax {
  static constexpr const char* kName = "resize_argmax";
  int64_t height = 0, width = 0;
  bool align_corners = true;
  void fields(Fields& f) {
    f("height", height, "rows of the result");
    f("width", width, "columns of the result");
    f("align_corners", align_corners, "corner pixels map onto corner pixels (else half-pixel centres)");
  }
  Types infer(const Types& in) const;
  Launch lower(Lowering& l) const;
};

}  // namespace psanet::layers
