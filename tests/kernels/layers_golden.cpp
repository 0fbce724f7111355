// The reference numbers of single layers, straight on the kernels.
#include <nlohmann/json.hpp>

#include "engine/safetensors.h"
#include "kernels/batch_norm.h"
#include "kernels/conv2d.h"
#include "kernels/dropout.h"
#include "kernels/elementwise.h"
#include "kernels/loss.h"
#include "kernels/pointwise.h"
#include "kernels/pool.h"
#include "kernels/softmax.h"
#include "tests/kernels/support.h"
#include "tests/support/golden.h"

namespace psanet::tests {

using namespace kernels;
using nlohmann::json;

namespace {

constexpr double kAbsolute = 2e-5, kRelative = 1e-5;

/// One case of the file, its image tensors turned to NHWC.
class Case {
 public:
  Case(const Safetensors& file, std::string name)
      : file_(file), name_(std::move(name)), about(json::parse(file.metadata.at(name_))) {}

  const std::vector<int64_t>& shape(const char* tensor) const { return file_.at(name_ + "." + tensor).shape; }
  Floats values(const char* tensor) const {
    const Floats x = file_.at(name_ + "." + tensor).values<float>();
    const auto& s = shape(tensor);
    return s.size() == 4 ? to_nhwc(x, s[0], s[1], s[2] * s[3]) : x;
  }
  std::string compare(const Floats& found, const char* tensor, double absolute = kAbsolute) const {
    return difference(found, values(tensor), absolute, kRelative);
  }

 private:
  const Safetensors& file_;
  std::string name_;

 public:
  json about;
};

/// Runs body(ctx, case) for all cases of one kind; the file must have at least `wanted` of them.
template <class Body>
void for_cases(const std::string& kind, int wanted, const Body& body) {
  const auto dir = golden_dir();
  if (!dir) return;
  const Safetensors file = read_safetensors(*dir / "layers.safetensors");
  CpuContext ctx(2);
  int found = 0;
  for (const std::string name : json::parse(file.metadata.at("cases"))) {
    const Case c(file, name);
    if (c.about.at("kind") != kind) continue;
    INFO(name);
    ++found;
    body(ctx, c);
  }
  CHECK(found >= wanted);
}

Floats like(const Floats& x) {
  return Floats(x.size(), std::nanf(""));
}

}  // namespace

TEST_CASE("convolutions agree with the reference numbers in all three directions") {
  for_cases("conv2d", 12, [](CpuContext& ctx, const Case& c) {
    const auto &x_shape = c.shape("x"), &w_shape = c.shape("weight");
    Conv2dDims d{x_shape[0], x_shape[2], x_shape[3], x_shape[1], w_shape[0], w_shape[2], w_shape[3]};
    d.stride_h = d.stride_w = c.about.at("stride");
    d.pad_h = d.pad_w = c.about.at("padding");
    d.dilation_h = d.dilation_w = c.about.at("dilation");
    const bool bias = c.about.at("bias");
    const Floats x = c.values("x"), w = c.values("weight"), d_y = c.values("grad_y");
    const Floats b = bias ? c.values("bias") : Floats();

    Floats y = like(d_y), packed_y = like(d_y), d_x = like(x), d_w = like(w);
    const auto forward = prepare_conv2d_forward(ctx, d, {bias, false, false});
    const Workspace scratch(ctx, forward->workspace_bytes()), packed(ctx, forward->packed_bytes());
    forward->run(x.data(), w.data(), b.data(), nullptr, y.data(), scratch);
    CHECK(c.compare(y, "y") == "");
    forward->pack(w.data(), packed);
    forward->run_packed(x.data(), packed, b.data(), nullptr, packed_y.data(), scratch);
    CHECK(same_bits(packed_y, y));

    const auto backward_data = prepare_conv2d_backward_data(ctx, d);
    const Workspace scratch_data(ctx, backward_data->workspace_bytes());
    backward_data->run(d_y.data(), w.data(), d_x.data(), scratch_data);
    CHECK(c.compare(d_x, "grad_x") == "");

    const auto backward_weights = prepare_conv2d_backward_weights(ctx, d);
    const Workspace scratch_weights(ctx, backward_weights->workspace_bytes());
    backward_weights->run(x.data(), d_y.data(), d_w.data(), scratch_weights);
    CHECK(c.compare(d_w, "grad_weight") == "");
    if (bias) {
      Floats d_b = like(b);
      bias_backward(ctx, {d.batch * d.out_h() * d.out_w(), d.out_channels}, d_y.data(), d_b.data());
      CHECK(c.compare(d_b, "grad_bias") == "");
    }
  });
}

TEST_CASE("batch norm agrees with the reference numbers, training and evaluation") {
  for_cases("batch_norm", 6, [](CpuContext& ctx, const Case& c) {
    const auto& s = c.shape("x");
    const BatchNormDims d{s[0] * s[2] * s[3], s[1], c.about.at("eps").get<float>()};
    const bool train = c.about.at("mode") == "train";
    const Floats x = c.values("x"), w = c.values("weight"), b = c.values("bias"), d_y = c.values("grad_y");
    Floats mean = c.values("running_mean_in"), variance = c.values("running_var_in");
    Floats running_mean = mean, running_variance = variance, y = like(x), d_x = like(x), d_w = like(w), d_b = like(b);
    const auto rows = static_cast<double>(d.rows);
    double largest = 1;
    for (float v : c.values("grad_x")) largest = std::max(largest, static_cast<double>(std::fabs(v)));
    for (float v : c.values("y")) largest = std::max(largest, static_cast<double>(std::fabs(v)));
    for (float v : x) largest = std::max(largest, static_cast<double>(std::fabs(v)));
    const double absolute = std::max(kAbsolute, 1e-5 * largest);

    if (train) {
      batch_norm_statistics(ctx, d, x.data(), mean.data(), variance.data());
      batch_norm_update_running(ctx, d.channels, rows, c.about.at("momentum"), mean.data(), variance.data(),
                                running_mean.data(), running_variance.data());
    }
    batch_norm_apply(ctx, d, {}, x.data(), mean.data(), variance.data(), w.data(), b.data(), nullptr, y.data());
    batch_norm_backward_reduce(ctx, d, {}, x.data(), nullptr, mean.data(), variance.data(), d_y.data(), d_w.data(),
                               d_b.data());
    batch_norm_backward_apply(ctx, d, {}, rows, x.data(), nullptr, mean.data(), variance.data(), w.data(),
                              train ? d_w.data() : nullptr, train ? d_b.data() : nullptr, d_y.data(), d_x.data(),
                              nullptr);
    CHECK(c.compare(y, "y", absolute) == "");
    CHECK(c.compare(d_x, "grad_x", absolute) == "");
    CHECK(c.compare(d_w, "grad_weight", absolute) == "");
    CHECK(c.compare(d_b, "grad_bias", absolute) == "");
    CHECK(c.compare(running_mean, "running_mean_out") == "");
    CHECK(c.compare(running_variance, "running_var_out", absolute) == "");
  });
}

TEST_CASE("max pooling agrees with the reference numbers, ties included") {
  for_cases("max_pool2d", 5, [](CpuContext& ctx, const Case& c) {
    const auto& s = c.shape("x");
    PoolDims d{s[0], s[2], s[3], s[1]};
    d.kernel_h = d.kernel_w = c.about.at("kernel");
    d.stride_h = d.stride_w = c.about.at("stride");
    d.pad_h = d.pad_w = c.about.at("padding");
    const Floats x = c.values("x"), d_y = c.values("grad_y");
    Floats y = like(d_y), d_x = like(x);
    std::vector<uint8_t> winner(y.size());
    max_pool_forward(ctx, d, x.data(), y.data(), winner.data());
    CHECK(c.compare(y, "y", 0) == "");
    max_pool_backward(ctx, d, winner.data(), d_y.data(), d_x.data());
    CHECK(c.compare(d_x, "grad_x") == "");
  });
}

TEST_CASE("adaptive average pooling agrees with the reference numbers") {
  for_cases("adaptive_avg_pool2d", 9, [](CpuContext& ctx, const Case& c) {
    const auto& s = c.shape("x");
    const int64_t bin = c.about.at("bin");
    const AdaptivePoolDims d{s[0], s[2], s[3], s[1], bin, bin};
    const Floats x = c.values("x"), d_y = c.values("grad_y");
    Floats y = like(d_y), d_x = like(x);
    adaptive_average_pool_forward(ctx, d, x.data(), y.data());
    CHECK(c.compare(y, "y") == "");
    adaptive_average_pool_backward(ctx, d, d_y.data(), d_x.data());
    CHECK(c.compare(d_x, "grad_x") == "");
  });
}

TEST_CASE("bilinear resize agrees with the reference numbers") {
  for_cases("bilinear_align_corners", 15, [](CpuContext& ctx, const Case& c) {
    const auto& s = c.shape("x");
    const ResizeDims d{s[0], s[2], s[3], s[1], c.about.at("out_h"), c.about.at("out_w"), true};
    const Floats x = c.values("x"), d_y = c.values("grad_y");
    Floats y = like(d_y), d_x = like(x);
    resize_forward(ctx, d, x.data(), y.data());
    CHECK(c.compare(y, "y") == "");
    resize_backward(ctx, d, d_y.data(), d_x.data());
    CHECK(c.compare(d_x, "grad_x") == "");
  });
}

TEST_CASE("softmax agrees with the reference numbers") {
  for_cases("softmax_dim1", 3, [](CpuContext& ctx, const Case& c) {
    const Floats x = c.values("x"), d_y = c.values("grad_y");
    const SoftmaxDims d{static_cast<int64_t>(x.size()) / c.shape("x")[1], c.shape("x")[1]};
    Floats y = like(x), d_x = like(x);
    softmax_forward(ctx, d, x.data(), y.data());
    CHECK(c.compare(y, "y") == "");
    softmax_backward(ctx, d, y.data(), d_y.data(), d_x.data());
    CHECK(c.compare(d_x, "grad_x") == "");
  });
}

TEST_CASE("cross entropy agrees with the reference numbers, and is 0 where the reference divides 0 by 0") {
  const auto dir = golden_dir();
  if (!dir) return;
  const Safetensors file = read_safetensors(*dir / "layers.safetensors");
  for_cases("cross_entropy", 6, [&](CpuContext& ctx, const Case& c) {
    const auto& s = c.shape("x");
    const ResizeDims d{s[0], s[2], s[3], s[1], s[2], s[3], true};
    const Floats x = c.values("x"), target = c.values("target");
    std::vector<uint8_t> label;
    for (float t : target) label.push_back(static_cast<uint8_t>(t));
    Floats d_x = like(x);
    float loss = -1, valid = -1;
    const Workspace workspace(ctx, resize_cross_entropy_workspace_bytes(ctx, d));
    resize_cross_entropy(ctx, d, c.about.at("ignore_index"), x.data(), label.data(), &loss, &valid, d_x.data(),
                         workspace);
    CHECK(valid == c.about.at("valid_pixels").get<float>());
    const float share = valid > 0 ? 1 / valid : 0;
    for (float& v : d_x) v *= share;
    CHECK(c.compare(d_x, "grad_x") == "");
    if (valid > 0) {
      CHECK(c.compare({loss * share}, "loss") == "");
    } else {
      CHECK(loss == 0);
    }
  });
}

TEST_CASE("dropped channels and ReLU agree with the reference numbers") {
  for_cases("dropout2d", 2, [](CpuContext& ctx, const Case& c) {
    const auto& s = c.shape("x");
    const DropoutDims d{s[0], s[2] * s[3], s[1], c.about.at("p")};
    const Floats x = c.values("x"), d_y = c.values("grad_y");
    Floats factor = c.values("keep"), y = like(x), d_x = like(x);
    for (float& f : factor) f = static_cast<float>(f / (1 - d.probability));
    channel_scale(ctx, d, x.data(), factor.data(), y.data());
    channel_scale(ctx, d, d_y.data(), factor.data(), d_x.data());
    CHECK(c.compare(y, "y") == "");
    CHECK(c.compare(d_x, "grad_x") == "");
  });
  for_cases("relu", 1, [](CpuContext& ctx, const Case& c) {
    const Floats x = c.values("x"), d_y(x.size(), 1.0f);
    Floats y = like(x), d_x = like(x);
    map(ctx, static_cast<int64_t>(x.size()), Relu{}, x.data(), y.data());
    CHECK(c.compare(y, "y", 0) == "");
    map(ctx, static_cast<int64_t>(x.size()), ReluGradient{}, y.data(), d_y.data(), d_x.data());
    CHECK(c.compare(d_x, "grad_x", 0) == "");
  });
}

}  // namespace psanet::tests
