// Bilinear resize.
#pragma once

#include "engine/autodiff.h"
#include "engine/lowering.h"
#include "engine/op.h"

namespace psanet::layers {

/// y [N,height,width,C].
struct Resize {
  static constexpr const char* kName = "resize";
  int64_t height = 0, width = 0;
  bool align_corners = true;
  void fields(Fields& f);
  Types infer(const Types& in) const;
  Values grad(Gradient& g) const;
  Launch lower(Lowering& l) const;
};

/// d_x [N,H,W,C], `input` = H, W.
struct ResizeBackward {
  static constexpr const char* kName = "resize_backward";
  Size2 input{1, 1};
  bool align_corners = true;
  void fields(Fields& f);
  Types infer(const Types& in) const;
  Launch lower(Lowering& l) const;
};

/// labels u8 [N,height,width]: the class of the largest resized score; the resized scores are never in memory.
struct ResizeArgmax {
  static constexpr const char* kName = "resize_argmax";
  int64_t height = 0, width = 0;
  bool align_corners = true;
  void fields(Fields& f);
  Types infer(const Types& in) const;
  Launch lower(Lowering& l) const;
};

}  // namespace psanet::layers
