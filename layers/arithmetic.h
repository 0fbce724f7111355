// Sums and factors.
#pragma once

#include "layers/bases.h"

namespace psanet::layers {

/// y = a + b, same shapes.
struct Add {
  static constexpr const char* kName = "add";
  void fields(Fields&) {}
  Types infer(const Types& in) const;
  Values grad(Gradient& g) const { return {g.d_out(0), g.d_out(0)}; }
  Launch lower(Lowering& l) const;
  std::vector<Sharing> shares() const { return {{0, 0}, {0, 1}}; }
};

/// y = factor * x.
struct Scale {
  static constexpr const char* kName = "scale";
  double factor = 1;
  void fields(Fields& f) { f("factor", factor, "multiplies every value"); }
  Types infer(const Types& in) const;
  Values grad(Gradient& g) const { return {g.add("d_x", Scale{factor}, {g.d_out(0)})}; }
  Launch lower(Lowering& l) const;
  std::vector<Sharing> shares() const { return {{0, 0}}; }
};

/// y = factor [1] * x; the factor is a tensor (the gradient of a loss). Differentiable in x only.
struct ScaleBy {
  static constexpr const char* kName = "scale_by";
  void fields(Fields&) {}
  Types infer(const Types& in) const;
  Launch lower(Lowering& l) const;
  std::vector<Sharing> shares() const { return {{0, 0}}; }
};

/// y = a / b, 0 where b is 0 (the mean over no pixel at all); differentiable in a only.
struct DivideOrZero {
  static constexpr const char* kName = "divide_or_zero";
  void fields(Fields&) {}
  Types infer(const Types& in) const;
  Values grad(Gradient& g) const { return {g.add("d_a", DivideOrZero{}, {g.d_out(0), g.in(1)}), {}}; }
  Launch lower(Lowering& l) const;
};

}  // namespace psanet::layers
