#include "layers/sgd.h"

#include "kernels/elementwise.h"
#include "kernels/sgd.h"
#include "layers/check.h"
#include "layers/registry.h"

namespace psanet::layers {

Types Sgd::infer(const Types& in) const {
  const size_t tensors = rate_factor.size(), first = first_tensor();
  require(weight_decay.size() == tensors, "{} rate factors, {} weight decays", tensors, weight_decay.size());
  require_inputs(in, first + 3 * tensors + copied.size());
  require(in[0].elements() == 1, "the rate is {}, want one value", to_string(in[0]));
  if (guarded) require(in[1] == f32({1}), "the loss is {}, want one value", to_string(in[1]));
  for (size_t t = 0; t < tensors; ++t) {
    const size_t i = first + 3 * t;
    require_same(in[i], in[i + 1], "parameter and momentum");
    require_same(in[i], in[i + 2], "parameter and gradient");
  }
  for (size_t c = 0; c < copied.size(); ++c) {
    const auto t = static_cast<size_t>(copied[c]);
    require(copied[c] >= 0 && t < tensors, "a copy of tensor {}, there are {}", copied[c], tensors);
    require_same({DType::bf16, in[first + 3 * t].shape}, in[first + 3 * tensors + c], "bf16 parameter and copy");
  }
  return {};
}

Launch Sgd::lower(Lowering& l) const {
  auto tensors =
      std::make_shared<std::vector<kernels::SgdTensor>>(rate_factor.size());  // addresses are filled in at run
  for (size_t t = 0; t < tensors->size(); ++t) {
    (*tensors)[t].elements = l.in(first_tensor() + 3 * t).elements();
    (*tensors)[t].rate_factor = static_cast<float>(rate_factor[t]);
    (*tensors)[t].weight_decay = static_cast<float>(weight_decay[t]);
  }
  const auto share = static_cast<float>(momentum);
  const std::vector<size_t> copies(copied.begin(), copied.end());
  const size_t first = first_tensor(), first_copy = first + 3 * tensors->size();
  const bool with_guard = guarded;
  Launch launch = l.launch([=](auto& ctx, const Buffers& b) {
    for (size_t t = 0; t < tensors->size(); ++t) {
      (*tensors)[t].parameter = b.template state<float>(first + 3 * t);
      (*tensors)[t].momentum = b.template state<float>(first + 3 * t + 1);
      (*tensors)[t].gradient = b.in(first + 3 * t + 2);
    }
    for (size_t c = 0; c < copies.size(); ++c) {
      (*tensors)[copies[c]].copy = b.template state<kernels::bf16>(first_copy + c);
    }
    kernels::sgd_step(ctx, *tensors, share, b.in(0), with_guard ? b.in(1) : nullptr);
  });
  if (!copies.empty()) {
    launch.digest = l.launch([=](auto& ctx, const Buffers& b) {
                       for (size_t c = 0; c < copies.size(); ++c) {
                         kernels::cast(ctx, (*tensors)[copies[c]].elements, b.in(first + 3 * copies[c]),
                                       b.template state<kernels::bf16>(first_copy + c));
                       }
                     }).run;
  }
  return launch;
}

std::vector<int> Sgd::mutates(size_t inputs) const {
  std::vector<int> updated;
  const int copies = static_cast<int>(inputs - copied.size());
  for (int i = static_cast<int>(first_tensor()); i < copies; i += 3) {
    updated.push_back(i);
    updated.push_back(i + 1);
  }
  for (int i = copies; i < static_cast<int>(inputs); ++i) updated.push_back(i);
  return updated;
}

void sgd_ops(Tables& tables) {
  tables.ops<Sgd>();
}

}  // namespace psanet::layers
