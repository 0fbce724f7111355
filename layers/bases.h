// What many ops have in common: bases that leave a name, a lowering and perhaps a gradient rule to be written.
#pragma once

#include "engine/autodiff.h"
#include "layers/check.h"

namespace psanet::layers {

/// y has the type of x, the only input, and may take its memory.
struct OneToOne {
  void fields(Fields&) {}
  Types infer(const Types& in) const {
    require_inputs(in, 1);
    return {in[0]};
  }
  std::vector<Sharing> shares() const { return {{0, 0}}; }
};

/// d_x from y and d_y, all of one type; d_x may take the memory of d_y.
struct BackwardFromResult {
  void fields(Fields&) {}
  Types infer(const Types& in) const {
    require_inputs(in, 2);
    require_same(in[0], in[1], "y and d_y");
    return {in[0]};
  }
  std::vector<Sharing> shares() const { return {{0, 1}}; }
};

/// d_x of an op with one input, from its attributes, the shape of x and d_y, which is the last of `kInputs` inputs.
template <class Forward, size_t kInputs = 1>
struct Backward {
  Forward forward;
  Shape input;

  void fields(Fields& f) {
    f("input", input, "shape of x");
    forward.fields(f);
  }
  Types infer(const Types& in) const {
    require_inputs(in, kInputs);
    const Type x{in.back().dtype, input};
    check_size(x, "input");
    require_same(forward.infer({x})[0], in.back(), "the result and d_y");
    return {x};
  }
};

/// What a gradient rule returns for an op with one input: d_x as `B`, a Backward, gives it from `inputs`.
template <class B, class Forward>
Values backward(Gradient& g, const Forward& forward, Values inputs) {
  return {g.add("d_x", B{{forward, g.type(g.in(0)).shape}}, std::move(inputs))};
}

}  // namespace psanet::layers
