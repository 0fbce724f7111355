// Convolutions of enlarged maps.
#include <fmt/format.h>

#include "engine/rewrite.h"
#include "layers/concat.h"
#include "layers/conv2d.h"
#include "layers/passes/passes.h"
#include "layers/resize.h"
#include "layers/resize_taps.h"

namespace psanet::layers {

namespace {

/// An input of a convolution, or a part of its channels.
struct Part {
  Value value;                     // of the old graph
  const Node* enlarged = nullptr;  // the resize that it comes from, if it is worth looking behind
};

/// The parts of the convolution's input, in the order of channels.
std::vector<Part> parts_of(const Rewriter& r, Value x) {
  std::vector<Part> parts;
  const Node& joined = r.from.node(x);
  const auto* concat = joined.as<Concat>();
  const bool along_channels = concat && (concat->axis == -1 || concat->axis == 3);
  for (Value v : along_channels ? joined.inputs : Values{x}) {
    const Node& node = r.from.node(v);
    Part part{v, nullptr};
    if (node.as<Resize>()) {
      const Type &small = r.from.type(node.inputs[0]), &large = r.from.type(v);
      // From half as many places on, products there save more than the sum of the taps costs.
      if (2 * small[1] * small[2] <= large[1] * large[2]) part.enlarged = &node;
    }
    parts.push_back(part);
  }
  return parts;
}

/// Is there an enlarged map, and something else, all of it in one piece?
bool worth_it(const std::vector<Part>& parts) {
  int enlarged = 0, runs = 0;
  for (size_t i = 0; i < parts.size(); ++i) {
    enlarged += parts[i].enlarged != nullptr;
    runs += !parts[i].enlarged && (i == 0 || parts[i - 1].enlarged);
  }
  return enlarged > 0 && runs == 1;
}

/// As large as its input: windows around every place.
bool keeps_size(const Conv2d& op, const Type& weight) {
  const auto fits = [](int64_t kernel, int64_t stride, int64_t padding, int64_t dilation) {
    return kernel % 2 == 1 && kernel <= 15 && stride == 1 && padding == kernel / 2 * dilation;
  };
  return fits(weight[1], op.stride.h, op.padding.h, op.dilation.h) &&
         fits(weight[2], op.stride.w, op.padding.w, op.dilation.w);
}

}  // namespace

Graph multiply_before_enlarging(const Graph& graph) {
  return Rewriter(graph).run([](Rewriter& r, int id) -> std::optional<Values> {
    const Node& node = r.from.node(id);
    const auto* conv = node.as<Conv2d>();
    if (!conv || !keeps_size(*conv, r.from.type(node.inputs[1]))) return std::nullopt;
    const std::vector<Part> parts = parts_of(r, node.inputs[0]);
    if (!worth_it(parts)) return std::nullopt;

    SplitWeight split;  // one group for what stays as it is, one for each enlarged map
    Values others;
    size_t group_of_others = 0;
    for (const Part& part : parts) {
      const int64_t channels = r.from.type(part.value)[3];
      if (!part.enlarged && !others.empty()) {
        split.channels.back() += channels;
      } else {
        if (!part.enlarged) group_of_others = split.channels.size();
        split.channels.push_back(channels);
        split.by_taps.push_back(part.enlarged ? 1 : 0);
      }
      if (!part.enlarged) others.push_back(r.mapped(part.value));
    }
    const Values weights = r.to.apply(node.name + ".split", split, {r.mapped(node.inputs[1])});
    const Value x = others.size() == 1 ? others[0] : r.to.add(node.name + ".others", Concat{}, others);
    const auto rest = [&](bool with_residual, Value sum) {  // the convolution of the others
      Conv2d op = *conv;
      op.residual = with_residual;
      Values inputs = {x, weights[group_of_others]};
      if (op.bias) inputs.push_back(r.mapped(node.inputs[2]));
      if (with_residual) inputs.push_back(sum);
      return r.to.add(node.name, op, inputs);
    };

    // With a ReLU behind it (evaluation) the convolution comes last and adds the sum of the taps, as it adds a
    // residual; else the taps are added to it, which has a gradient.
    const bool last = conv->relu || conv->residual;
    Value sum = !last ? rest(false, {}) : conv->residual ? r.mapped(node.inputs.back()) : Value{};
    const Type &weight = r.from.type(node.inputs[1]), &y = r.from.type(Value{id, 0});
    size_t group = 0;
    for (const Part& part : parts) {
      if (!part.enlarged) {
        group = group_of_others + 1;
        continue;
      }
      const Value small = r.mapped(part.enlarged->inputs[0]);
      const std::string name = fmt::format("{}.taps.{}", node.name, group);
      const Value products = r.to.add(name, Conv2d{}, {small, weights[group++]});
      const ResizeTaps taps{
          y[1], y[2], part.enlarged->as<Resize>()->align_corners, bool(sum), {weight[1], weight[2]}, conv->dilation};
      sum = r.to.add(name + ".sum", taps, sum ? Values{products, sum} : Values{products});
    }
    return Values{last ? rest(true, sum) : sum};
  });
}

}  // namespace psanet::layers
