// What the words of the model language stand for. Words with parameters come first; the rest are single ops.
#include <cmath>

#include "engine/random.h"
#include "layers/arithmetic.h"
#include "layers/batch_norm.h"
#include "layers/check.h"
#include "layers/concat.h"
#include "layers/conv2d.h"
#include "layers/dropout2d.h"
#include "layers/language.h"
#include "layers/matmul.h"
#include "layers/pool.h"
#include "layers/psa.h"
#include "layers/relu.h"
#include "layers/resize.h"
#include "layers/softmax.h"

namespace psanet::layers {

enum class ConvInit { fan_in_uniform, fan_out_normal };
std::span<const char* const> choices(ConvInit) {
  static constexpr const char* kNames[] = {"fan_in_uniform", "fan_out_normal"};
  return kNames;
}

namespace {

/// Convolution with its parameters `weight` and, with bias, `bias`.
class Conv2dWord final : public Layer {
 public:
  void fields(Fields& f) override {
    f("out_channels", out_channels_, "number of filters");
    f("kernel", kernel_, "size of the window");
    f("stride", stride_, "step of the window");
    f("padding", padding_, "zeros added on each side");
    f("dilation", dilation_, "distance between the taps of the window");
    f("bias", bias_, "adds a trained bias");
    f("init", init_,
      "start of the weights: PyTorch's default (uniform, 1/sqrt(fan_in)) or Kaiming normal over fan_out");
  }
  Value build(const Building& b, const Values& in) const override {
    const Type& x = b.graph.type(in[0]);
    require_image(x, "x");
    require(out_channels_ > 0, "out_channels {} must be at least 1", out_channels_);
    const auto window = static_cast<double>(kernel_.h * kernel_.w);
    const double bound = 1 / std::sqrt(window * static_cast<double>(x[3]));
    const double deviation = std::sqrt(2 / (window * static_cast<double>(out_channels_)));
    const Value weight = b.graph.parameter(
        b.path + ".weight", f32({out_channels_, kernel_.h, kernel_.w, x[3]}),
        init_ == ConvInit::fan_in_uniform ? Initializer::uniform(bound) : Initializer::normal(deviation),
        FileLayout::conv_weight);
    Values inputs = {in[0], weight};
    if (bias_) inputs.push_back(b.graph.parameter(b.path + ".bias", f32({out_channels_}), Initializer::uniform(bound)));
    return b.graph.add(b.path, Conv2d{stride_, padding_, dilation_, bias_, false, false}, inputs);
  }

 private:
  int64_t out_channels_ = 0;
  Size2 kernel_{1, 1}, stride_{1, 1}, padding_{0, 0}, dilation_{1, 1};
  bool bias_ = false;
  ConvInit init_ = ConvInit::fan_in_uniform;
};

/// Batch norm with parameters `weight`, `bias` and states `running_mean`, `running_var`.
class BatchNormWord final : public Layer {
 public:
  void fields(Fields& f) override {
    f("epsilon", epsilon_, "added to the variance");
    f("momentum", momentum_, "weight of a new batch in the running statistics");
    f("scale", scale_, "start of the weight; with 0 a residual block begins as the identity");
  }
  Value build(const Building& b, const Values& in) const override {
    Graph& g = b.graph;
    const Type x = g.type(in[0]);
    const Type vector = f32({x[-1]});
    const Value weight = g.parameter(b.path + ".weight", vector, Initializer::constant(scale_));
    const Value bias = g.parameter(b.path + ".bias", vector, Initializer::constant(0));
    const Value running_mean = g.statistic(b.path + ".running_mean", b.path, vector, Initializer::constant(0));
    const Value running_var = g.statistic(b.path + ".running_var", b.path, vector, Initializer::constant(1));
    if (b.mode == Mode::eval) {
      return g.add(b.path, BatchNormApply{epsilon_, false, false, false},
                   {in[0], running_mean, running_var, weight, bias});
    }
    const Values statistics = g.apply(b.path + ".statistics", BatchNormStatistics{}, {in[0]});
    g.apply(b.path + ".update", BatchNormUpdateRunning{momentum_, rows(x)},
            {statistics[0], statistics[1], running_mean, running_var});
    return g.add(b.path, BatchNormApply{epsilon_, true, false, false},
                 {in[0], statistics[0], statistics[1], weight, bias});
  }

 private:
  double epsilon_ = 1e-5, momentum_ = 0.1, scale_ = 1;
};

/// Drops whole channels in training; nothing in evaluation. Reads the input `counter` (i64 [2]: seed, step).
class Dropout2dWord final : public Layer {
 public:
  void fields(Fields& f) override { f("probability", probability_, "of dropping a channel; 0 adds nothing"); }
  Value build(const Building& b, const Values& in) const override {
    require(probability_ >= 0 && probability_ < 1, "probability {} is not in [0, 1)", probability_);
    if (b.mode == Mode::eval || probability_ == 0) return in[0];
    Value counter = b.graph.find_input("counter");
    if (!counter) counter = b.graph.input("counter", Type{DType::i64, {2}});
    const Type& x = b.graph.type(in[0]);
    require_image(x, "x");
    const auto salt = static_cast<int64_t>(hash_name(b.path));
    const Value factors = b.graph.add(b.path + ".factors", DropoutFactors{x[0], x[3], probability_, salt}, {counter});
    return b.graph.add(b.path, ChannelScale{}, {in[0], factors});
  }

 private:
  double probability_ = 0.1;
};

/// Attention with the paper's way of stating the mask and the normalisation.
class PsaWord final : public Layer {
 public:
  void fields(Fields& f) override {
    f("mode", mode_, "collect: a target reads its own logits; distribute: it reads what each source wrote for it");
    f("mask_h", mask_h_, "rows of the over-complete map; null: full, 2H-1");
    f("mask_w", mask_w_, "columns of the over-complete map; null: full, 2W-1");
    f("compact", compact_, "one logit for each absolute position (H*W channels) instead of relative offsets");
    f("softmax", softmax_, "softmax over the sources; else the raw logits are the weights");
    f("normalization_factor", normalization_factor_, "divides the result; null: mask_h * mask_w");
  }
  Value build(const Building& b, const Values& in) const override {
    const Type& x = b.graph.type(in[0]);
    require_image(x, "value");
    Psa op;
    op.mode = mode_;
    // The mask of the compact form is the map itself, also for a null normalisation factor.
    op.mask_h = compact_ ? x[1] : mask_h_.value_or(2 * x[1] - 1);
    op.mask_w = compact_ ? x[2] : mask_w_.value_or(2 * x[2] - 1);
    op.compact = compact_;
    op.softmax = softmax_;
    const double factor = normalization_factor_.value_or(static_cast<double>(op.mask_h * op.mask_w));
    require(factor != 0, "normalization_factor is 0; want another number, or null for mask_h * mask_w");
    op.scale = 1 / factor;
    return b.graph.add(b.path, op, in);
  }

 private:
  PsaMode mode_ = PsaMode::collect;
  std::optional<int64_t> mask_h_, mask_w_;
  bool compact_ = false, softmax_ = true;
  std::optional<double> normalization_factor_ = 1.0;
};

/// Sum of two or more values.
class AddWord final : public Layer {
 public:
  void fields(Fields&) override {}
  Value build(const Building& b, const Values& in) const override {
    Value sum = in[0];
    for (size_t i = 1; i < in.size(); ++i) {
      sum = b.graph.add(i + 1 == in.size() ? b.path : fmt::format("{}.{}", b.path, i), Add{}, {sum, in[i]});
    }
    return sum;
  }
};

/// A resize to the same size adds nothing.
class ResizeWord final : public Layer {
 public:
  void fields(Fields& f) override { op_.fields(f); }
  Value build(const Building& b, const Values& in) const override {
    const Type& x = b.graph.type(in[0]);
    if (x.rank() == 4 && x[1] == op_.height && x[2] == op_.width) return in[0];
    return b.graph.add(b.path, op_, in);
  }

 private:
  Resize op_;
};

/// A word that is one op.
template <class T>
class OpWord final : public Layer {
 public:
  void fields(Fields& f) override { op_.fields(f); }
  Value build(const Building& b, const Values& in) const override { return b.graph.add(b.path, op_, in); }

 private:
  T op_;
};

template <class T>
std::unique_ptr<Layer> make() {
  return std::make_unique<T>();
}

constexpr Word kWords[] = {
    {"conv2d", "Two-dimensional convolution; parameters `weight` [out, in, kh, kw] and, with bias, `bias`.", 1, 1,
     &make<Conv2dWord>},
    {"batch_norm", "Batch normalisation; parameters `weight`, `bias`, statistics `running_mean`, `running_var`.", 1, 1,
     &make<BatchNormWord>},
    {"relu", "max(x, 0).", 1, 1, &make<OpWord<Relu>>},
    {"add", "Sum of its inputs, which have one shape.", 2, -1, &make<AddWord>},
    {"concat", "Its inputs one after the other along an axis (channels).", 1, -1, &make<OpWord<Concat>>},
    {"slice", "A range of an axis (channels).", 1, 1, &make<OpWord<Slice>>},
    {"max_pool", "Largest value of each window; padding is never the largest.", 1, 1, &make<OpWord<MaxPool>>},
    {"average_pool", "Mean of each window.", 1, 1, &make<OpWord<AveragePool>>},
    {"adaptive_average_pool", "Mean over `size` windows an axis that cover the map; size 1 is global pooling.", 1, 1,
     &make<OpWord<AdaptiveAveragePool>>},
    {"resize", "Bilinear resize; the same size adds nothing.", 1, 1, &make<ResizeWord>},
    {"dropout2d", "Drops whole channels in training and scales the others by 1/(1-p).", 1, 1, &make<Dropout2dWord>},
    {"softmax", "Softmax over channels.", 1, 1, &make<OpWord<Softmax>>},
    {"matmul", "Batched matrix product of two inputs.", 2, 2, &make<OpWord<Matmul>>},
    {"psa", "Point-wise spatial attention (SPEC 1): inputs are the features to aggregate and the logits.", 2, 2,
     &make<PsaWord>},
};

}  // namespace

std::span<const Word> words() {
  return kWords;
}

const Word* find_word(const std::string& name) {
  for (const Word& word : kWords) {
    if (name == word.name) return &word;
  }
  return nullptr;
}

}  // namespace psanet::layers
