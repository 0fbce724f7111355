// What ops say about attributes and inputs that make no sense: the node, what was found, what is wanted.
#include <functional>
#include <nlohmann/json.hpp>

#include "engine/error.h"
#include "engine/graph.h"
#include "layers/registry.h"
#include "tests/support/build.h"
#include "tests/support/catch.h"

namespace psanet::tests {
namespace {

using nlohmann::json;

std::string message_of(const std::function<void()>& wrong) {
  try {
    wrong();
  } catch (const ConfigError& e) {
    return e.what();
  }
  return "nothing was thrown";
}

struct Wrong {
  const char* op;
  json attributes;
  std::vector<Type> inputs;
  std::vector<const char*> says;
};

TEST_CASE("wrong: an op that does not fit its inputs names the node, what it found and what it wants") {
  const Type image = f32({2, 9, 7, 3}), bytes{DType::u8, {2, 9, 7}};
  const std::vector<Wrong> list = {
      {"conv2d", {}, {image}, {"has 1 inputs, want 2"}},
      {"conv2d", {}, {f32({9, 7, 3}), f32({4, 1, 1, 3})}, {"x is f32[9,7,3], want f32 or bf16 [N,H,W,C]"}},
      {"conv2d", {}, {image, f32({4, 1, 1, 5})}, {"x has 3 channels, the weight wants 5"}},
      {"conv2d", {}, {image, f32({4, 11, 1, 3})}, {"kernel (11x1", "larger than the padded input (9x7)"}},
      {"conv2d", {{"stride", 0}}, {image, f32({4, 1, 1, 3})}, {"stride", "at least 1"}},
      {"conv2d", {{"padding", -1}}, {image, f32({4, 1, 1, 3})}, {"padding must be at least 0"}},
      {"conv2d", {{"bias", true}}, {image, f32({4, 1, 1, 3}), f32({3})}, {"bias is f32[3], want f32[4]"}},
      {"conv2d", {{"residual", true}}, {image, f32({4, 1, 1, 3}), image}, {"f32[2,9,7,3]", "f32[2,9,7,4]"}},
      {"conv2d_backward_data",
       {{"input", {2, 9, 7, 3}}},
       {f32({2, 8, 7, 4}), f32({4, 1, 1, 3})},
       {"f32[2,8,7,4]", "f32[2,9,7,4]"}},
      {"batch_norm", {}, {image, f32({3}), f32({3}), f32({4}), f32({3})}, {"f32[4], want f32[3]"}},
      {"add", {}, {image, f32({2, 9, 7, 4})}, {"the two summands", "f32[2,9,7,3]", "f32[2,9,7,4]"}},
      {"concat", {}, {image, f32({2, 9, 8, 3})}, {"f32[2,9,7,3]", "f32[2,9,8,3]", "differ in more than axis -1"}},
      {"concat", {{"axis", 4}}, {image}, {"axis 4 of f32[2,9,7,3]"}},
      {"concat", {}, {}, {"has no inputs"}},
      {"slice", {{"begin", 2}, {"size", 2}}, {image}, {"indices 2..3 of an axis of size 3"}},
      {"reshape", {{"shape", {5, 5}}}, {image}, {"f32[2,9,7,3] has 378 values", "f32[5,5] has 25"}},
      {"matmul", {}, {f32({2, 3, 4}), f32({2, 5, 6})}, {"4 columns on the left, 5 rows on the right"}},
      {"matmul", {}, {f32({2, 3, 4}), f32({3, 4, 6})}, {"2 matrices on the left, 3 on the right"}},
      {"max_pool", {{"padding", 2}}, {image}, {"padding 2x2 must be at most half the kernel 3x3"}},
      {"max_pool", {{"kernel", 16}, {"padding", 0}}, {image}, {"more than 255 places"}},
      {"average_pool", {{"kernel", 12}}, {image}, {"larger than the padded input"}},
      {"adaptive_average_pool", {{"size", 0}}, {image}, {"size 0x0 must be at least 1x1"}},
      {"resize", {{"height", 4}}, {image}, {"a result of 4x0", "at least 1"}},
      {"resize_taps", {{"height", 9}, {"width", 7}, {"kernel", 2}}, {image}, {"a window of 2x2; want odd sizes"}},
      {"resize_taps",
       {{"height", 9}, {"width", 7}, {"kernel", 3}},
       {image},
       {"3 channels, which 9 taps do not divide"}},
      {"split_weight",
       {{"channels", {2, 2}}, {"by_taps", {0, 1}}},
       {image},
       {"groups of 4 channels in all, the weight has 3"}},
      {"split_weight", {{"channels", {3}}, {"by_taps", {0, 1}}}, {image}, {"1 channels for 2 groups"}},
      {"resize_argmax", {{"height", 4}, {"width", 4}}, {f32({1, 2, 2, 256})}, {"256 classes", "at most 255"}},
      {"resize_cross_entropy", {}, {image, Type{DType::i64, {2, 9, 7}}}, {"label is i64[2,9,7], want u8[2,H,W]"}},
      {"resize_cross_entropy", {}, {image, Type{DType::u8, {3, 9, 7}}}, {"label is u8[3,9,7], want u8[2,H,W]"}},
      {"confusion_counts", {}, {bytes, Type{DType::u8, {2, 9, 8}}}, {"prediction and truth", "u8[2,9,7]", "u8[2,9,8]"}},
      {"psa",
       {{"mask_h", 3}, {"mask_w", 3}},
       {image, f32({2, 9, 7, 8})},
       {"logits are f32[2,9,7,8], want f32[2,9,7,9]", "mask_h * mask_w"}},
      {"psa", {{"compact", true}}, {image, f32({2, 9, 7, 9})}, {"want f32[2,9,7,63]", "H*W channels"}},
      {"psa", {{"mask_h", 3}}, {image, f32({2, 9, 7, 9})}, {"a mask of 3x0", "at least 1"}},
      {"dropout_factors", {{"probability", 1}}, {Type{DType::i64, {2}}}, {"probability 1 is not in [0, 1)"}},
      {"dropout_factors", {}, {f32({2})}, {"the counter is f32[2], want i64[2]"}},
      {"channel_scale", {}, {image, f32({2, 4})}, {"f32[2,4]", "f32[2,3]"}},
      {"sgd", {{"rate_factor", {1}}, {"weight_decay", {0, 0}}}, {f32({1})}, {"1 rate factors, 2 weight decays"}},
      {"scale_by", {}, {image, f32({2})}, {"the factor is f32[2], want one value"}},
  };
  for (const Wrong& wrong : list) {
    const std::string message = message_of([&] {
      Graph graph;
      Values in;
      for (const Type& type : wrong.inputs) in.push_back(graph.input("in" + std::to_string(in.size()), type));
      graph.apply("layer1.0", layers::make_op(wrong.op, wrong.attributes.is_null() ? json::object() : wrong.attributes),
                  in);
    });
    INFO(wrong.op << ": " << message);
    CHECK(message.rfind("layer1.0 (" + std::string(wrong.op) + "): ", 0) == 0);
    CHECK(message.find('\n') == std::string::npos);
    for (const char* part : wrong.says) {
      INFO("wants: " << part);
      CHECK(message.find(part) != std::string::npos);
    }
  }
}

TEST_CASE("wrong: an unknown op or attribute is answered with the nearest known one") {
  CHECK(message_of([] { layers::make_op("conv2", json::object()); }) == "no op \"conv2\", did you mean \"conv2d\"?");
  const std::string message = message_of([] { layers::make_op("conv2d", {{"strides", 2}}); });
  CHECK(message.find("conv2d: unknown key \"strides\", did you mean \"stride\"?") == 0);
  CHECK(message.find("known keys: stride, padding, dilation") != std::string::npos);
  CHECK(message_of([] {
          layers::make_op("psa", {{"mode", "gather"}});
        }) == "psa.mode: found \"gather\", want one of collect, distribute");
}

TEST_CASE("wrong: words refuse what no op can be made of") {
  const auto said = [](const char* word, const json& attributes) {
    return message_of([&] {
      Graph graph;
      const Value x = graph.input("x", f32({1, 4, 4, 2})), a = graph.input("a", f32({1, 4, 4, 9}));
      const bool two = std::string(word) == "psa";
      add_word({graph, layers::Mode::train, "part.0"}, word, attributes, two ? Values{x, a} : Values{x});
    });
  };
  CHECK(said("conv2d", json::object()).find("out_channels 0 must be at least 1") != std::string::npos);
  CHECK(said("dropout2d", {{"probability", 1.5}}).find("probability 1.5 is not in [0, 1)") != std::string::npos);
  CHECK(said("psa", {{"normalization_factor", 0}}).find("normalization_factor is 0") != std::string::npos);
  CHECK(said("psa", {{"mask_h", 5}, {"mask_w", 3}}).find("want f32[1,4,4,15]") != std::string::npos);
}

TEST_CASE("wrong: no attribute is so large or so small that a size overflows") {
  const Type image = f32({2, 9, 7, 3}), y = f32({2, 9, 7, 4}), weight = f32({4, 3, 3, 3});
  const std::vector<Wrong> list = {
      {"conv2d", {{"stride", 1}, {"padding", 1}, {"dilation", 1}}, {image, weight}, {}},
      {"conv2d_backward_data",
       {{"input", {2, 9, 7, 3}}, {"stride", 1}, {"padding", 1}, {"dilation", 1}},
       {y, weight},
       {}},
      {"conv2d_backward_weights",
       {{"weight", {4, 3, 3, 3}}, {"stride", 1}, {"padding", 1}, {"dilation", 1}},
       {image, y},
       {}},
      {"concat", {{"axis", 3}}, {image, image}, {}},
      {"slice", {{"axis", 3}, {"begin", 1}, {"size", 1}}, {image}, {}},
      {"slice_backward", {{"input", {2, 9, 7, 3}}, {"axis", 3}, {"begin", 1}, {"size", 1}}, {f32({2, 9, 7, 1})}, {}},
      {"reshape", {{"shape", {9, 42}}}, {image}, {}},
      {"max_pool", {{"kernel", 3}, {"stride", 2}, {"padding", 1}}, {image}, {}},
      {"max_pool_backward",
       {{"input", {2, 9, 7, 3}}, {"kernel", 3}, {"stride", 2}, {"padding", 1}},
       {{DType::u8, {2, 5, 4, 3}}, f32({2, 5, 4, 3})},
       {}},
      {"average_pool", {{"kernel", 3}, {"stride", 2}, {"padding", 1}}, {image}, {}},
      {"average_pool_backward",
       {{"input", {2, 9, 7, 3}}, {"kernel", 3}, {"stride", 2}, {"padding", 1}},
       {f32({2, 5, 4, 3})},
       {}},
      {"adaptive_average_pool", {{"size", 2}}, {image}, {}},
      {"adaptive_average_pool_backward", {{"input", {2, 9, 7, 3}}, {"size", 2}}, {f32({2, 2, 2, 3})}, {}},
      {"resize", {{"height", 5}, {"width", 6}}, {image}, {}},
      {"resize_backward", {{"input", {2, 5, 6, 3}}, {"height", 9}, {"width", 7}}, {image}, {}},
      {"resize_argmax", {{"height", 5}, {"width", 6}}, {image}, {}},
      {"resize_taps", {{"height", 5}, {"width", 6}, {"kernel", 3}, {"dilation", 1}}, {f32({2, 9, 7, 18})}, {}},
      {"resize_taps_backward",
       {{"input", {2, 5, 6, 27}}, {"height", 9}, {"width", 7}, {"kernel", 3}, {"dilation", 1}},
       {image},
       {}},
      {"split_weight", {{"channels", {1, 2}}, {"by_taps", {0, 1}}}, {weight}, {}},
      {"join_weight", {{"weight", {4, 3, 3, 3}}, {"channels", {3}}, {"by_taps", {0}}}, {weight}, {}},
      {"psa", {{"mask_h", 3}, {"mask_w", 3}}, {image, f32({2, 9, 7, 9})}, {}},
      {"confusion_counts", {{"classes", 3}}, {{DType::u8, {2, 9}}, {DType::u8, {2, 9}}}, {}},
      {"dropout_factors", {{"batch", 2}, {"channels", 3}}, {{DType::i64, {2}}}, {}},
  };
  const auto checked = [](const Wrong& op, const json& attributes) {
    Graph graph;
    Values in;
    for (const Type& type : op.inputs) in.push_back(graph.input("in" + std::to_string(in.size()), type));
    for (const Value v : graph.apply("node", layers::make_op(op.op, attributes), in)) {
      CHECK(graph.type(v).bytes() >= 0);
      CHECK(graph.type(v).bytes() <= kMostTensorBytes);
    }
  };
  const int64_t most = INT64_MAX;
  for (const Wrong& op : list) {
    INFO(op.op);
    CHECK_NOTHROW(checked(op, op.attributes));
    for (const auto& [key, value] : op.attributes.items()) {
      for (const int64_t extreme : {most, most - 1, most / 2 + 1, int64_t{1} << 61, int64_t{1} << 32, int64_t{1} << 31,
                                    int64_t{INT32_MAX}, -most - 1, -most, -(int64_t{1} << 32), int64_t{-1}}) {
        json attributes = op.attributes;
        (value.is_array() ? attributes[key][0] : attributes[key]) = extreme;
        INFO(attributes.dump());
        const std::string message = message_of([&] { checked(op, attributes); });
        if (message != "nothing was thrown") CHECK(message.rfind("node (", 0) == 0);
        if (key != "stride" && key != "axis" && key != "by_taps" && extreme != INT32_MAX)
          CHECK(message != "nothing was thrown");
      }
    }
  }
}

TEST_CASE("wrong: sizes of words are bounded before they are multiplied") {
  const auto said = [](const char* word, const json& attributes) {
    return message_of([&] {
      Graph graph;
      const Value x = graph.input("x", f32({1, 4, 4, 2})), a = graph.input("a", f32({1, 4, 4, 9}));
      const bool two = std::string(word) == "psa";
      add_word({graph, layers::Mode::train, "part.0"}, word, attributes, two ? Values{x, a} : Values{x});
    });
  };
  const int64_t large = int64_t{1} << 62;
  CHECK(said("conv2d", {{"out_channels", large}}).find("want 1 to 2147483647") != std::string::npos);
  CHECK(said("conv2d", {{"out_channels", 1}, {"kernel", large}}).find("want 1 to 2147483647") != std::string::npos);
  CHECK(said("conv2d", {{"out_channels", 2147483647}, {"kernel", 2147483647}}).find("[2147483647,2147483647") !=
        std::string::npos);
  CHECK(said("psa", {{"mask_h", large}, {"mask_w", large}}).find("want 1 to 2147483647") != std::string::npos);
  CHECK(said("resize", {{"height", 2147483647}, {"width", 2147483647}}).find("2^63-1") != std::string::npos);
}

TEST_CASE("wrong: a fused convolution refuses to be differentiated") {
  Graph graph;
  const Value x = graph.input("x", f32({1, 4, 4, 2})), w = graph.input("w", f32({3, 1, 1, 2}));
  const Value y = graph.add("conv", layers::make_op("conv2d", {{"relu", true}}), {x, w});
  const Value loss = dot(graph, "loss", y, graph.input("gy", f32({1, 4, 4, 3})));
  CHECK(message_of([&] { add_gradients(graph, loss, {w}); }).find("fuse after differentiating") != std::string::npos);
}

}  // namespace
}  // namespace psanet::tests
