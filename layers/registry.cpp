#include "layers/registry.h"

#include <nlohmann/json.hpp>

#include "engine/fields_json.h"
#include "engine/json/text.h"
#include "layers/accumulate.h"
#include "layers/arithmetic.h"
#include "layers/batch_norm.h"
#include "layers/bias.h"
#include "layers/cast.h"
#include "layers/check.h"
#include "layers/concat.h"
#include "layers/conv2d.h"
#include "layers/cross_entropy.h"
#include "layers/dropout2d.h"
#include "layers/matmul.h"
#include "layers/pool.h"
#include "layers/psa.h"
#include "layers/psa_projected.h"
#include "layers/relu.h"
#include "layers/resize.h"
#include "layers/resize_taps.h"
#include "layers/sgd.h"
#include "layers/softmax.h"

namespace psanet::layers {

namespace {

template <class T>
Op make(const nlohmann::json& attributes) {
  T op;
  read_fields(attributes, T::kName, [&](Fields& f) { op.fields(f); });
  return op;
}

template <class T>
constexpr bool differentiable() {
  return requires(const T& op, Gradient& g) {
    op.grad(g);
  };
}

template <class T>
constexpr OpEntry entry() {
  return {T::kName, differentiable<T>(), &make<T>};
}

constexpr OpEntry kOps[] = {
    entry<Accumulate>(),
    entry<Add>(),
    entry<AdaptiveAveragePool>(),
    entry<AdaptiveAveragePoolBackward>(),
    entry<AveragePool>(),
    entry<AveragePoolBackward>(),
    entry<BatchNormApply>(),
    entry<BatchNormBackwardApply>(),
    entry<BatchNormBackwardReduce>(),
    entry<BatchNormStatistics>(),
    entry<BatchNormUpdateRunning>(),
    entry<BiasBackward>(),
    entry<Cast>(),
    entry<ChannelScale>(),
    entry<Clear>(),
    entry<Concat>(),
    entry<ConfusionCounts>(),
    entry<Conv2d>(),
    entry<Conv2dBackwardData>(),
    entry<Conv2dBackwardWeights>(),
    entry<DivideOrZero>(),
    entry<DropoutFactors>(),
    entry<FoldBatchNorm>(),
    entry<JoinWeight>(),
    entry<Matmul>(),
    entry<MaxPool>(),
    entry<MaxPoolBackward>(),
    entry<Psa>(),
    entry<PsaBackward>(),
    entry<PsaProjected>(),
    entry<PsaProjectedBackward>(),
    entry<Relu>(),
    entry<ReluBackward>(),
    entry<Reshape>(),
    entry<Resize>(),
    entry<ResizeArgmax>(),
    entry<ResizeBackward>(),
    entry<ResizeCrossEntropy>(),
    entry<ResizeTaps>(),
    entry<ResizeTapsBackward>(),
    entry<Scale>(),
    entry<ScaleBy>(),
    entry<Sgd>(),
    entry<Slice>(),
    entry<SliceBackward>(),
    entry<Softmax>(),
    entry<SoftmaxBackward>(),
    entry<SplitWeight>(),
};

}  // namespace

std::span<const OpEntry> all_ops() {
  return kOps;
}

Op make_op(const std::string& name, const nlohmann::json& attributes) {
  std::vector<std::string> names;
  for (const OpEntry& op : kOps) {
    if (name == op.name) return op.make(attributes);
    names.emplace_back(op.name);
  }
  throw ConfigError(fmt::format("no op \"{}\"{}", name, did_you_mean(name, names)));
}

}  // namespace psanet::layers
