// Hard numbers: large means, far-apart logits, subnormals, NaN, ties, and numbers known from elsewhere.
#include <limits>

#include "kernels/batch_norm.h"
#include "kernels/dropout.h"
#include "kernels/error.h"
#include "kernels/loss.h"
#include "kernels/pointwise.h"
#include "kernels/pool.h"
#include "kernels/psa.h"
#include "kernels/softmax.h"
#include "tests/kernels/support.h"
#include "tests/support/catch.h"

namespace psanet::tests {

using namespace kernels;

namespace {
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();
}  // namespace

TEST_CASE("the exponential behind softmax is right to three units in the last place") {
  // Softmax of (0, x) is 1 / (1 + e^x), e^x / (1 + e^x): for x below -17 the second is e^x itself in float32.
  CpuContext ctx(1);
  double worst = 0;
  for (int block = 0; block < 40; ++block) {
    const Floats x = numbers(20000, static_cast<uint64_t>(block), 34.0f);
    Floats pairs(2 * x.size(), 0.0f), y(2 * x.size());
    for (size_t i = 0; i < x.size(); ++i) pairs[2 * i + 1] = x[i] - 52.0f;  // -86 .. -18
    softmax_forward(ctx, {static_cast<int64_t>(x.size()), 2}, pairs.data(), y.data());
    for (size_t i = 0; i < x.size(); ++i) {
      const double wanted = std::exp(static_cast<double>(pairs[2 * i + 1]));
      const double unit = std::ldexp(1.0, std::ilogb(wanted) - 23);
      worst = std::max(worst, std::fabs(static_cast<double>(y[2 * i + 1]) - wanted) / unit);
    }
  }
  CHECK(worst < 3);
  CHECK(worst > 0.1);  // it did look
}

TEST_CASE("softmax takes any finite logits, and NaN comes out as NaN") {
  CpuContext ctx(1);
  const Floats x = {1e30f,  -1e30f, 1e30f,  0,  // equal largest, far from the rest
                    -3e38f, -3e38f, -3e38f, -3e38f, 0, kNan, 0, 0};
  Floats y(x.size());
  softmax_forward(ctx, {3, 4}, x.data(), y.data());
  CHECK(difference(Floats(y.begin(), y.begin() + 8), Floats{0.5f, 0, 0.5f, 0, 0.25f, 0.25f, 0.25f, 0.25f}, 1e-7, 0) ==
        "");
  for (size_t i = 8; i < 12; ++i) CHECK(std::isnan(y[i]));
}

TEST_CASE("batch statistics survive a mean that is large compared with the deviation") {
  CpuContext ctx(2);
  const int64_t rows = 9001, channels = 19;
  for (float deviation : {1.0f, 0.01f}) {
    Floats x = numbers(rows * channels, 1);
    for (float& v : x) v = 1000.0f + deviation * v;
    std::vector<double> mean(channels), variance(channels);
    for (int64_t c = 0; c < channels; ++c) {
      for (int64_t r = 0; r < rows; ++r) mean[c] += static_cast<double>(x[r * channels + c]) / rows;
      for (int64_t r = 0; r < rows; ++r) variance[c] += std::pow(x[r * channels + c] - mean[c], 2) / rows;
    }
    Floats found_mean(channels), found_variance(channels);
    batch_norm_statistics(ctx, {rows, channels}, x.data(), found_mean.data(), found_variance.data());
    INFO("deviation " << deviation);
    CHECK(difference(found_mean, mean, 0, 1e-7) == "");
    CHECK(difference(found_variance, variance, 0, 1e-5) == "");
  }
}

TEST_CASE("one row: variance 0, running variance as it is") {
  CpuContext ctx(1);
  const Floats x = {3, -4};
  Floats mean(2), variance(2, kNan), running_mean(2, 0.0f), running_variance(2, 1.0f);
  batch_norm_statistics(ctx, {1, 2}, x.data(), mean.data(), variance.data());
  CHECK(mean == x);
  CHECK(variance == Floats{0, 0});
  batch_norm_update_running(ctx, 2, 1, 0.1f, mean.data(), variance.data(), running_mean.data(),
                            running_variance.data());
  CHECK(difference(running_variance, Floats{0.9f, 0.9f}, 1e-7, 0) == "");
}

TEST_CASE("a folded batch norm is the convolution and the batch norm after it") {
  CpuContext ctx(2);
  const int64_t outputs = 7, inner = 18;
  const Floats w = numbers(outputs * inner, 1), conv_bias = numbers(outputs, 2), x = numbers(inner, 3);
  const Floats mean = numbers(outputs, 4), variance = positive(outputs, 5), weight = numbers(outputs, 6);
  const Floats bias = numbers(outputs, 7);
  for (const bool with_bias : {false, true}) {
    Floats folded_w(w.size()), folded_bias(outputs), found(outputs);
    std::vector<double> wanted(outputs);
    fold_batch_norm(ctx, {inner, outputs}, w.data(), with_bias ? conv_bias.data() : nullptr, mean.data(),
                    variance.data(), weight.data(), bias.data(), folded_w.data(), folded_bias.data());
    for (int64_t o = 0; o < outputs; ++o) {
      double conv = with_bias ? static_cast<double>(conv_bias[o]) : 0, folded = folded_bias[o];
      for (int64_t i = 0; i < inner; ++i) conv += static_cast<double>(w[o * inner + i]) * x[i];
      for (int64_t i = 0; i < inner; ++i) folded += static_cast<double>(folded_w[o * inner + i]) * x[i];
      wanted[o] = (conv - mean[o]) / std::sqrt(variance[o] + 1e-5) * weight[o] + bias[o];
      found[o] = static_cast<float>(folded);
    }
    CHECK(difference(found, wanted, 2e-6, 1e-6) == "");
  }
}

TEST_CASE("max pooling: a NaN wins, the first of equals wins, padding never wins") {
  CpuContext ctx(1);
  PoolDims dims{1, 2, 2, 4, 3, 3, 1, 1, 1, 1};
  //               channel 0: NaN, 1: ties, 2: all -infinity, 3: all negative
  const Floats x = {1, 5, -kInfinity, -4, kNan, 5, -kInfinity, -3, 7, 2, -kInfinity, -2, 1, 5, -kInfinity, -9};
  Floats y(16), d_x(16), d_y(16, 1.0f);
  std::vector<uint8_t> winner(16);
  max_pool_forward(ctx, dims, x.data(), y.data(), winner.data());
  CHECK(std::isnan(y[0]));
  CHECK(y[1] == 5);
  CHECK(y[2] == -kInfinity);
  CHECK(y[3] == -2);
  CHECK(int{winner[0]} == 5);  // window of the first place begins one row above and one column left of the map
  CHECK(int{winner[1]} == 4);
  CHECK(int{winner[2]} == 4);
  max_pool_backward(ctx, dims, winner.data(), d_y.data(), d_x.data());
  CHECK(d_x[1] == 4);   // all four windows see the first of the equal values first
  CHECK(d_x[4] == 4);   // and the NaN
  CHECK(d_x[11] == 4);  // and the largest negative value
}

TEST_CASE("ReLU and the search for bad values see NaN and infinity") {
  CpuContext ctx(2);
  const int64_t count = 200000;
  Floats x(static_cast<size_t>(count), -1.0f);
  CHECK(first_non_finite(ctx, count, x.data()) == -1);
  CHECK(first_non_finite(ctx, 0, x.data()) == -1);
  x[199999] = kInfinity;
  CHECK(first_non_finite(ctx, count, x.data()) == 199999);
  x[123456] = -kInfinity;
  x[65536] = kNan;
  CHECK(first_non_finite(ctx, count, x.data()) == 65536);
  Floats y(x.size());
  map(ctx, count, Relu{}, x.data(), y.data());
  CHECK(std::isnan(y[65536]));
  CHECK(y[123456] == 0);
  CHECK(y[199999] == kInfinity);
}

TEST_CASE("dropout factors come from Philox 4x32-10") {
  // The authors' first known answer: counter 0, key 0 gives 6627e8d5 in the first word, of which 24 bits are used.
  CpuContext ctx(1);
  const int64_t counter[2] = {0, 0};
  const double uniform = 0x6627e8 * 0x1p-24;
  float factor = -1;
  dropout_factors(ctx, {1, 1, 1, uniform}, 0, counter, &factor);
  CHECK(factor == Approx(1 / (1 - uniform)));
  dropout_factors(ctx, {1, 1, 1, uniform + 0x1p-24}, 0, counter, &factor);
  CHECK(factor == 0);
}

TEST_CASE("dropout drops the wanted share, differently for every step, seed and node") {
  CpuContext ctx(1);
  const DropoutDims dims{8, 1, 4096, 0.1};
  const auto draw = [&](int64_t seed, int64_t step, uint64_t salt) {
    const int64_t counter[2] = {seed, step};
    Floats factor(8 * 4096);
    dropout_factors(ctx, dims, salt, counter, factor.data());
    return factor;
  };
  const Floats first = draw(1, 0, 5);
  const auto dropped = static_cast<double>(std::count(first.begin(), first.end(), 0.0f));
  CHECK(dropped / static_cast<double>(first.size()) == Approx(0.1).margin(0.01));
  CHECK(first == draw(1, 0, 5));
  CHECK(first != draw(2, 0, 5));
  CHECK(first != draw(1, 1, 5));
  CHECK(first != draw(1, int64_t{1} << 40, 5));
  CHECK(first != draw(1, 0, 6));
}

TEST_CASE("cross entropy of logits that are far apart between neighbouring places") {
  // Half way between two certain and contradicting columns, both classes have probability one half.
  CpuContext ctx(1);
  const ResizeDims dims{1, 1, 2, 2, 1, 3, true};
  const Floats logits = {1000, 0, 0, 1000};
  const std::vector<uint8_t> label = {0, 1, 1};
  Floats d_logits(4);
  float loss = 0, valid = 0;
  const Workspace workspace(ctx, resize_cross_entropy_workspace_bytes(ctx, dims));
  resize_cross_entropy(ctx, dims, 255, logits.data(), label.data(), &loss, &valid, d_logits.data(), workspace);
  CHECK(valid == 3);
  CHECK(loss == Approx(std::log(2.0)));
  CHECK(difference(d_logits, Floats{0.25f, -0.25f, 0.25f, -0.25f}, 1e-6, 0) == "");
}

TEST_CASE("labels that are no class count as ignored") {
  CpuContext ctx(1);
  const ResizeDims dims{1, 1, 2, 3, 1, 2, true};
  const Floats logits = {1, 2, 3, 4, 5, 6};
  const std::vector<uint8_t> label = {3, 200};
  Floats d_logits(6, kNan);
  float loss = -1, valid = -1;
  const Workspace workspace(ctx, resize_cross_entropy_workspace_bytes(ctx, dims));
  resize_cross_entropy(ctx, dims, 255, logits.data(), label.data(), &loss, &valid, d_logits.data(), workspace);
  CHECK(loss == 0);
  CHECK(valid == 0);
  CHECK(d_logits == Floats(6, 0.0f));

  const std::vector<uint8_t> prediction = {0, 1, 2, 1, 1, 9}, truth = {0, 2, 2, 255, 7, 1};
  std::vector<int64_t> counts(9, 1);
  confusion_counts(ctx, 6, 3, 255, prediction.data(), truth.data(), counts.data());
  CHECK(counts == std::vector<int64_t>{2, 1, 1, 1, 1, 1, 1, 2, 2});
}

TEST_CASE("far-apart PSA logits make no subnormal numbers") {
  CpuContext ctx(1);
  const PsaDims dims{1, 9, 9, 16, 17, 17};
  const int64_t count = dims.positions();
  const Floats value = numbers(count * 16, 1), d_out = numbers(count * 16, 2);
  for (const float range : {60.0f, 200.0f}) {  // differences up to 120 and 400
    const Floats logits = numbers(count * dims.logit_channels(), 3, range);
    Floats out(value.size()), d_value(value.size()), d_logits(logits.size()), statistics(count * 2);
    const Workspace workspace(ctx, psa_workspace_bytes(ctx, dims));
    psa_forward(ctx, dims, value.data(), logits.data(), out.data(), statistics.data(), workspace);
    psa_backward(ctx, dims, value.data(), logits.data(), out.data(), statistics.data(), d_out.data(), d_value.data(),
                 d_logits.data(), workspace);
    int64_t subnormal = 0, nonzero = 0;
    for (const Floats* x : {&out, &d_value, &d_logits}) {
      for (float v : *x) {
        subnormal += std::fpclassify(v) == FP_SUBNORMAL;
        nonzero += v != 0;
        CHECK_FALSE(std::isnan(v));
      }
    }
    CHECK(subnormal == 0);
    CHECK(nonzero > count * 16);
  }
}

TEST_CASE("memory that does not exist is refused with one line that says how much was wanted") {
  CpuContext ctx(1);
#ifndef __SANITIZE_ADDRESS__  // which ends the program instead
  std::string message;
  try {
    release(ctx, allocate(ctx, int64_t{1} << 60));
  } catch (const DeviceError& e) {
    message = e.what();
  }
  CHECK(message.find("1152921504606846976 bytes") != std::string::npos);
  CHECK(message.find('\n') == std::string::npos);
#endif
  void* none = allocate(ctx, 0);
  CHECK(none != nullptr);
  release(ctx, none);
}

}  // namespace psanet::tests
