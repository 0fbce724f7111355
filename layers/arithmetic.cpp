#include "layers/arithmetic.h"

#include "layers/pointwise.h"
#include "layers/registry.h"

namespace psanet::layers {

Types Add::infer(const Types& in) const {
  require_inputs(in, 2);
  require_same(in[0], in[1], "the two summands");
  return {in[0]};
}
Launch Add::lower(Lowering& l) const {
  return pointwise(l, kernels::Sum{});
}

Types Scale::infer(const Types& in) const {
  require_inputs(in, 1);
  return {in[0]};
}
Launch Scale::lower(Lowering& l) const {
  return pointwise(l, kernels::Times{static_cast<float>(factor)});
}

Types ScaleBy::infer(const Types& in) const {
  require_inputs(in, 2);
  require(in[1].elements() == 1, "the factor is {}, want one value", to_string(in[1]));
  return {in[0]};
}
Launch ScaleBy::lower(Lowering& l) const {
  const int64_t n = l.in(0).elements();
  return l.launch_as(l.in(0).dtype, [=]<class T>(auto& ctx, const Buffers& b) {
    kernels::scale_by(ctx, n, b.in(1), b.in<T>(0), b.out<T>(0));
  });
}

Types DivideOrZero::infer(const Types& in) const {
  require_inputs(in, 2);
  require_same(in[0], in[1], "numerator and denominator");
  return {in[0]};
}
Launch DivideOrZero::lower(Lowering& l) const {
  return pointwise(l, kernels::QuotientOrZero{});
}

namespace {

/// Sum of two or more values.
struct AddWord final : Layer {
  static constexpr const char* kName = "add";
  void fields(Fields&) override {}
  Value build(const Building& b, const Values& in) const override {
    Value sum = in[0];
    for (size_t i = 1; i < in.size(); ++i) {
      sum = b.graph.add(i + 1 == in.size() ? b.path : fmt::format("{}.{}", b.path, i), Add{}, {sum, in[i]});
    }
    return sum;
  }
};

}  // namespace

void arithmetic_ops(Tables& tables) {
  tables.ops<Add, Scale, ScaleBy, DivideOrZero>();
  tables.word<AddWord>("Sum of its inputs, which have one shape.", 2, -1);
}

}  // namespace psanet::layers
