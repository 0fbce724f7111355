// What a convolution of an enlarged map becomes (passes: multiply_before_enlarging): products at the small map's
// places, then a sum of what they are resized to.
#pragma once

#include "engine/autodiff.h"
#include "engine/lowering.h"

namespace psanet::layers {

/// y [N,height,width,C] = base + sum over the taps of a window of resize(x's channels of that tap), each at its place.
/// Inputs: x [N,H,W,taps*C], taps in the order of the window's rows; base [N,height,width,C] if the flag says so.
struct ResizeTaps {
  static constexpr const char* kName = "resize_taps";
  int64_t height = 0, width = 0;
  bool align_corners = true, base = false;
  Size2 kernel{1, 1}, dilation{1, 1};
  void fields(Fields& f) {
    f("height", height, "rows of the result");
    f("width", width, "columns of the result");
    f("align_corners", align_corners, "corner pixels map onto corner pixels (else half-pixel centres)");
    f("base", base, "adds a base input");
    f("kernel", kernel, "rows and columns of the window, odd");
    f("dilation", dilation, "distance between the taps of the window");
  }
  Types infer(const Types& in) const;
  Values grad(Gradient& g) const;
  Launch lower(Lowering& l) const;
  std::vector<Sharing> shares() const { return base ? std::vector<Sharing>{{0, 1}} : std::vector<Sharing>{}; }
};

/// A convolution's weight [O,kh,kw,I], cut into groups of its input channels: `channels` of each. A group is a weight
/// [O,kh,kw,channels], or, where `by_taps` is 1, the weight [kh*kw*O,1,1,channels] that makes ResizeTaps' products.
struct SplitWeight {
  static constexpr const char* kName = "split_weight";
  std::vector<int64_t> channels, by_taps;
  void fields(Fields& f) {
    f("channels", channels, "input channels of each group");
    f("by_taps", by_taps, "1: the group is a weight [kh*kw*O,1,1,channels], 0: [O,kh,kw,channels]");
  }
  Types infer(const Types& in) const;
  Values grad(Gradient& g) const;
  Launch lower(Lowering& l) const;
};

}  // namespace psanet::layers
