// Where a kernel's declaration says that two tensors may be one, they may.
#include "kernels/batch_norm.h"
#include "kernels/dropout.h"
#include "kernels/elementwise.h"
#include "kernels/pointwise.h"
#include "kernels/softmax.h"
#include "tests/kernels/support.h"
#include "tests/support/catch.h"

namespace psanet::tests {

using namespace kernels;

namespace {

constexpr int64_t kRows = 67, kChannels = 45, kCount = kRows * kChannels;

struct Inputs {
  Floats a = numbers(kCount, 1), b = numbers(kCount, 2), c = numbers(kCount, 3);
  Floats mean = numbers(kChannels, 4), variance = positive(kChannels, 5), weight = numbers(kChannels, 6);
  Floats bias = numbers(kChannels, 7), d_weight = numbers(kChannels, 8), d_bias = numbers(kChannels, 9);
  Floats out() const { return Floats(static_cast<size_t>(kCount)); }
};

}  // namespace

TEST_CASE("elementwise kernels work in place") {
  CpuContext ctx(2);
  const Inputs in;
  Floats y = in.out();
  const auto check = [&](const Floats& start, const auto& kernel) {
    Floats both = start;
    kernel(start.data(), y.data());
    kernel(both.data(), both.data());
    CHECK(same_bits(both, y));
  };
  const float factor = 0.3f;
  check(in.a, [&](const float* x, float* to) { map(ctx, kCount, Relu{}, x, to); });
  check(in.a, [&](const float* x, float* to) { map(ctx, kCount, ReluGradient{}, in.b.data(), x, to); });
  check(in.a, [&](const float* x, float* to) { map(ctx, kCount, Sum{}, x, in.b.data(), to); });
  check(in.a, [&](const float* x, float* to) { map(ctx, kCount, Sum{}, in.b.data(), x, to); });
  check(in.a, [&](const float* x, float* to) { map(ctx, kCount, Times{0.7f}, x, to); });
  check(in.a, [&](const float* x, float* to) { scale_by(ctx, kCount, &factor, x, to); });
  check(in.a, [&](const float* x, float* to) { bias_add(ctx, {kRows, kChannels}, x, in.bias.data(), to); });
  check(in.a, [&](const float* x, float* to) { softmax_forward(ctx, {kRows, kChannels}, x, to); });
  check(in.a, [&](const float* x, float* to) { softmax_backward(ctx, {kRows, kChannels}, in.b.data(), x, to); });
  check(in.a, [&](const float* x, float* to) { channel_scale(ctx, {1, kRows, kChannels, 0}, x, in.bias.data(), to); });
}

TEST_CASE("batch norm works in place") {
  CpuContext ctx(2);
  const Inputs in;
  const BatchNormDims dims{kRows, kChannels};
  const BatchNormEpilogue full{true, true};
  const auto apply = [&](const float* x, const float* residual, float* y) {
    batch_norm_apply(ctx, dims, full, x, in.mean.data(), in.variance.data(), in.weight.data(), in.bias.data(), residual,
                     y);
  };
  Floats y = in.out(), over_x = in.a, over_residual = in.b;
  apply(in.a.data(), in.b.data(), y.data());
  apply(over_x.data(), in.b.data(), over_x.data());
  apply(in.a.data(), over_residual.data(), over_residual.data());
  CHECK(same_bits(over_x, y));
  CHECK(same_bits(over_residual, y));

  const auto backward = [&](const float* d_y, float* d_x, float* d_residual) {
    batch_norm_backward_apply(ctx, dims, {d_residual != nullptr, true}, kRows, in.a.data(), y.data(), in.mean.data(),
                              in.variance.data(), in.weight.data(), in.d_weight.data(), in.d_bias.data(), d_y, d_x,
                              d_residual);
  };
  Floats d_x = in.out(), d_residual = in.out(), d_x_2 = in.out(), over_d_y = in.c, over_d_y_2 = in.c;
  backward(in.c.data(), d_x.data(), d_residual.data());
  backward(over_d_y.data(), d_x_2.data(), over_d_y.data());
  CHECK(same_bits(d_x_2, d_x));
  CHECK(same_bits(over_d_y, d_residual));
  backward(over_d_y_2.data(), over_d_y_2.data(), nullptr);
  CHECK(same_bits(over_d_y_2, d_x));
}

}  // namespace psanet::tests
