#include "layers/accumulate.h"

#include "kernels/memory.h"
#include "kernels/pointwise.h"
#include "layers/check.h"
#include "layers/registry.h"

namespace psanet::layers {

Types Accumulate::infer(const Types& in) const {
  require(in.size() % 2 == 0, "{} inputs, want pairs of value and sum", in.size());
  for (size_t i = 0; i < in.size(); i += 2) {
    require_same(in[i], in[i + 1], "value and sum");
    require(in[i].dtype == DType::f32, "a value is {}, want f32", to_string(in[i]));
  }
  return {};
}

Launch Accumulate::lower(Lowering& l) const {
  std::vector<int64_t> elements;
  for (size_t i = 0; i < l.inputs(); i += 2) elements.push_back(l.in(i).elements());
  return l.launch([=](auto& ctx, const Buffers& b) {
    for (size_t t = 0; t < elements.size(); ++t) {
      float* sum = b.template state<float>(2 * t + 1);
      kernels::map(ctx, elements[t], kernels::Sum{}, b.in(2 * t), static_cast<const float*>(sum), sum);
    }
  });
}

std::vector<int> Accumulate::mutates(size_t inputs) const {
  std::vector<int> sums;
  for (int i = 1; i < static_cast<int>(inputs); i += 2) sums.push_back(i);
  return sums;
}

Launch Clear::lower(Lowering& l) const {
  std::vector<int64_t> bytes;
  for (size_t i = 0; i < l.inputs(); ++i) bytes.push_back(l.in(i).bytes());
  return l.launch([=](auto& ctx, const Buffers& b) {
    for (size_t i = 0; i < bytes.size(); ++i) kernels::fill_zero(ctx, b.template state<char>(i), bytes[i]);
  });
}

std::vector<int> Clear::mutates(size_t inputs) const {
  std::vector<int> all;
  for (int i = 0; i < static_cast<int>(inputs); ++i) all.push_back(i);
  return all;
}

void accumulate_ops(Tables& tables) {
  tables.ops<Accumulate, Clear>();
}

}  // namespace psanet::layers
