#include "tests/support/random_network.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/error.h"
#include "engine/random.h"
#include "tests/support/build.h"

namespace psanet::tests {

using nlohmann::json;

int64_t Dice::below(int64_t limit) {
  return static_cast<int64_t>(random_bits(key_, next_++) % static_cast<uint64_t>(limit));
}

double Dice::unit() {
  return random_unit(key_, next_++);
}

namespace {

class Maker {
 public:
  Maker(uint64_t key, layers::Mode mode, int64_t batch) : dice_(key), mode_(mode) {
    values_.push_back(graph_.input("image", f32({batch, 9, 9, 3})));
  }

  Graph run() {
    const int64_t layers = 8 + dice_.below(14);
    for (int64_t i = 0; i < layers; ++i) {
      name_ = fmt::format("n{}", i);
      try {
        add_layer();
      } catch (const ConfigError&) {
        // What does not fit together is left out; what it has added so far is pruned.
      }
    }
    add_head();
    return std::move(graph_);
  }

 private:
  Value word(const std::string& part, const std::string& word, const json& attributes, const Values& in) {
    return add_word({graph_, mode_, name_ + part}, word, attributes, in);
  }
  void keep(Value v) { values_.push_back(v); }
  const Type& type(Value v) const { return graph_.type(v); }

  /// Mostly a recent value: chains in which memory can be used again.
  Value any() {
    const auto count = static_cast<int64_t>(values_.size());
    const int64_t back = dice_.once_in(3) ? dice_.below(count) : dice_.below(std::min<int64_t>(count, 3));
    return values_[static_cast<size_t>(count - 1 - back)];
  }
  /// A value of the same height and width, perhaps of as many channels; there may be none.
  Value like(const Type& wanted, bool channels_too) {
    for (int attempt = 0; attempt < 25; ++attempt) {
      const Value v = any();
      const Type& found = type(v);
      if (found[1] == wanted[1] && found[2] == wanted[2] && (!channels_too || found[3] == wanted[3])) return v;
    }
    return {};
  }

  json window() {
    const bool wide = !dice_.once_in(2);
    const int64_t dilation = wide ? 1 + dice_.below(2) : 1;
    return {{"kernel", wide ? 3 : 1}, {"padding", wide ? dilation : 0}, {"dilation", dilation}};
  }
  json size(int64_t low, int64_t high) {
    return {{"height", low + 2 * dice_.below((high - low) / 2 + 1)},
            {"width", low + 2 * dice_.below((high - low) / 2 + 1)},
            {"align_corners", !dice_.once_in(3)}};
  }

  void add_layer() {
    switch (dice_.below(11)) {
      case 0:
      case 1:
        return add_convolution();
      case 2:
        return keep(word("", "batch_norm", json::object(), {any()}));
      case 3:
        return keep(word("", "relu", json::object(), {any()}));
      case 4:
        return add_sum();
      case 5:
        return add_join();
      case 6:
        return keep(word("", "resize", size(3, 9), {any()}));
      case 7:
        return keep(word("", "max_pool", {{"kernel", 3}, {"stride", 1}, {"padding", 1}}, {any()}));
      case 8:
        return add_slice();
      case 9:
        return add_convolution_of_enlarged();
      default:
        return add_attention();
    }
  }

  void add_convolution() {
    json attributes = window();
    attributes.update(
        {{"out_channels", 3 + dice_.below(3)}, {"stride", dice_.once_in(4) ? 2 : 1}, {"bias", dice_.once_in(2)}});
    Value v = word("", "conv2d", attributes, {any()});
    keep(v);
    if (dice_.once_in(3)) return;
    keep(v = word(".norm", "batch_norm", json::object(), {v}));
    if (dice_.once_in(2)) keep(word(".relu", "relu", json::object(), {v}));
  }

  void add_sum() {
    const Value a = any(), b = like(type(a), true);
    if (!b) return;
    const Value sum = word("", "add", json::object(), {a, b});
    keep(sum);
    if (dice_.once_in(2)) keep(word(".relu", "relu", json::object(), {sum}));
  }

  void add_join() {
    const Value a = any(), b = like(type(a), false);
    if (!b || type(a)[3] + type(b)[3] > 14) return;
    keep(word("", "concat", json::object(), dice_.once_in(3) ? Values{a, b, a} : Values{a, b}));
  }

  void add_slice() {
    const Value v = any();
    if (type(v)[3] > 2) keep(word("", "slice", {{"begin", dice_.below(type(v)[3] - 1)}, {"size", 2}}, {v}));
  }

  /// Of a small map that is enlarged, joined with another one, in any order: what multiply_before_enlarging looks for.
  void add_convolution_of_enlarged() {
    const Value small = word(".small", "resize", {{"height", 3}, {"width", 5}}, {any()});
    const Value large =
        word(".large", "resize", {{"height", 9}, {"width", 9}, {"align_corners", dice_.once_in(2)}}, {small});
    const Value other = like(type(large), false);
    if (!other) return keep(large);
    const std::vector<Values> orders = {{large, other}, {other, large}, {large, other, large}, {other, other, large}};
    const Value joined = word(".joined", "concat", json::object(), orders[static_cast<size_t>(dice_.below(4))]);
    if (type(joined)[3] > 24) return;
    if (dice_.once_in(3)) keep(joined);
    json attributes = window();
    attributes.update({{"out_channels", 4}, {"bias", dice_.once_in(2)}});
    Value v = word("", "conv2d", attributes, {joined});
    if (dice_.once_in(2)) {
      v = word(".norm", "batch_norm", json::object(), {v});
      if (const Value residual = like(type(v), true); residual && dice_.once_in(2)) {
        v = word(".sum", "add", json::object(), {residual, v});
      }
      v = word(".relu", "relu", json::object(), {v});
    }
    keep(v);
  }

  /// With logits of a 1x1 convolution on a shrunk map: what project_attention and subsample_pointwise look for.
  void add_attention() {
    const json shrunk = {{"height", 3}, {"width", 3}};
    const Value x = any();
    Value value = word(".value", "resize", shrunk, {x}), features = value;
    if (dice_.once_in(3)) features = word(".features", "conv2d", {{"out_channels", 8}}, {value});
    Value scores = word(".scores", "conv2d", {{"out_channels", 25}}, {dice_.once_in(2) ? x : features});
    scores = word(".shrunk", "resize", shrunk, {scores});
    keep(word("", "psa", {{"mode", dice_.once_in(2) ? "collect" : "distribute"}}, {value, scores}));
  }

  /// Everything recent flows into the class scores.
  void add_head() {
    name_ = "head";
    Values ends;
    for (size_t i = values_.size() - std::min<size_t>(values_.size(), 4); i < values_.size(); ++i) {
      ends.push_back(word(fmt::format(".end{}", i), "resize", {{"height", 9}, {"width", 9}}, {values_[i]}));
    }
    Value scores = word(".joined", "concat", json::object(), ends);
    scores = word("", "conv2d", {{"out_channels", kRandomNetworkClasses}}, {scores});
    if (dice_.once_in(2)) scores = word(".large", "resize", {{"height", 17}, {"width", 17}}, {scores});
    graph_.output("logits", scores);
  }

  Dice dice_;
  layers::Mode mode_;
  Graph graph_;
  Values values_;
  std::string name_;
};

}  // namespace

Graph random_network(uint64_t key, layers::Mode mode, int64_t batch) {
  return Maker(hash_name("network") + key, mode, batch).run();
}

}  // namespace psanet::tests
