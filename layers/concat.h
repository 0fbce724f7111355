// Joining tensors along an axis, cutting a piece out, and other shapes for the same values.
#pragma once

#include "layers/bases.h"

namespace psanet::layers {

/// All inputs, one after the other along `axis` (-1: channels).
struct Concat {
  static constexpr const char* kName = "concat";
  int64_t axis = -1;
  void fields(Fields& f) { f("axis", axis, "axis to join along; negative counts from the last"); }
  Types infer(const Types& in) const;
  Values grad(Gradient& g) const;
  Launch lower(Lowering& l) const;
};

/// x[..., begin:begin+size, ...] along `axis`.
struct Slice {
  static constexpr const char* kName = "slice";
  int64_t axis = -1, begin = 0, size = 0;
  void fields(Fields& f) {
    f("axis", axis, "axis to cut; negative counts from the last");
    f("begin", begin, "first index kept");
    f("size", size, "number of indices kept");
  }
  Types infer(const Types& in) const;
  Values grad(Gradient& g) const;
  Launch lower(Lowering& l) const;
};

/// d_x of Slice: zeros with d_y put in its place.
struct SliceBackward : Backward<Slice> {
  static constexpr const char* kName = "slice_backward";
  Launch lower(Lowering& l) const;
};

/// The same values in another shape.
struct Reshape {
  static constexpr const char* kName = "reshape";
  Shape shape;
  void fields(Fields& f) { f("shape", shape, "the new sizes"); }
  Types infer(const Types& in) const;
  Values grad(Gradient& g) const { return {g.add("d_x", Reshape{g.type(g.in(0)).shape}, {g.d_out(0)})}; }
  Launch lower(Lowering& l) const;
  std::vector<Sharing> shares() const { return {{0, 0}}; }
};

}  // namespace psanet::layers
