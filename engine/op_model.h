// The type erasure behind Op (included by engine/op.h).
#pragma once

#include "engine/lowering.h"
#include "engine/op.h"

namespace psanet {

template <class T>
struct Op::Model final : Op::Concept {
  explicit Model(T o) : op(std::move(o)) {}
  T op;

  const char* name() const override { return T::kName; }
  Types infer(const Types& in) const override { return op.infer(in); }
  Launch lower(Lowering& l) const override { return op.lower(l); }

  bool has_gradient() const override {
    return requires(Gradient & g) {
      op.grad(g);
    };
  }
  Values grad([[maybe_unused]] Gradient& g) const override {
    if constexpr (requires { op.grad(g); }) return op.grad(g);
    return {};
  }
  double flops([[maybe_unused]] const Types& in, [[maybe_unused]] const Types& out) const override {
    if constexpr (requires { op.flops(in, out); }) return op.flops(in, out);
    return 0;
  }
  std::vector<int> mutates([[maybe_unused]] size_t inputs) const override {
    if constexpr (requires { op.mutates(inputs); }) return op.mutates(inputs);
    return {};
  }
  std::vector<Sharing> shares() const override {
    if constexpr (requires { op.shares(); }) return op.shares();
    return {};
  }
  std::vector<int> skippable() const override {
    if constexpr (requires { op.skippable(); }) return op.skippable();
    return {};
  }
  void fields(Fields& f) const override {
    T copy = op;  // visitors that only read still take references
    copy.fields(f);
  }
};

inline Launch Op::lower(Lowering& l) const {
  return self_->lower(l);
}

}  // namespace psanet
