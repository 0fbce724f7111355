// The number of threads changes how long a kernel takes and nothing else.
#include "kernels/batch_norm.h"
#include "kernels/dropout.h"
#include "kernels/elementwise.h"
#include "kernels/loss.h"
#include "kernels/matmul.h"
#include "kernels/pool.h"
#include "kernels/psa.h"
#include "kernels/sgd.h"
#include "kernels/softmax.h"
#include "tests/kernels/support.h"
#include "tests/support/catch.h"

namespace psanet::tests {

using namespace kernels;

namespace {

/// run(ctx) returns all that the kernel wrote; it must be the same for 1, 2, 3 and 5 threads.
template <class Run>
void check_threads(const Run& run) {
  CpuContext one(1);
  const Floats wanted = run(one);
  for (int threads : {2, 3, 5}) {
    CpuContext ctx(threads);
    INFO(threads << " threads");
    CHECK(same_bits(run(ctx), wanted));
  }
}

Floats join(std::initializer_list<Floats> parts) {
  Floats all;
  for (const Floats& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

}  // namespace

TEST_CASE("sums over rows have the same bits for every number of threads") {
  for (const auto& [rows, channels] : {std::pair<int64_t, int64_t>{4099, 37}, {1500, 300}, {3, 513}}) {
    const Floats x = numbers(rows * channels, 1), y = numbers(rows * channels, 2), d_y = numbers(rows * channels, 3);
    const BatchNormDims dims{rows, channels};
    check_threads([&](CpuContext& ctx) {
      const auto size = static_cast<size_t>(channels);
      Floats mean(size), variance(size), d_weight(size), d_bias(size), sum(size);
      batch_norm_statistics(ctx, dims, x.data(), mean.data(), variance.data());
      batch_norm_backward_reduce(ctx, dims, {false, true}, x.data(), y.data(), mean.data(), variance.data(), d_y.data(),
                                 d_weight.data(), d_bias.data());
      bias_backward(ctx, {rows, channels}, d_y.data(), sum.data());
      return join({mean, variance, d_weight, d_bias, sum});
    });
  }
}

TEST_CASE("resize + cross entropy has the same bits for every number of threads") {
  for (const ResizeDims& dims : {ResizeDims{2, 9, 7, 21, 65, 49, true}, ResizeDims{1, 5, 8, 150, 5, 8, true},
                                 ResizeDims{3, 13, 4, 3, 6, 9, false}}) {
    const Floats logits = numbers(dims.batch * dims.in_h * dims.in_w * dims.channels, 4, 5);
    const auto label = labels(dims.batch * dims.out_h * dims.out_w, static_cast<int>(dims.channels), 5);
    check_threads([&](CpuContext& ctx) {
      Floats sums(2), d_logits(logits.size());
      const Workspace workspace(ctx, resize_cross_entropy_workspace_bytes(ctx, dims));
      resize_cross_entropy(ctx, dims, 255, logits.data(), label.data(), &sums[0], &sums[1], d_logits.data(), workspace);
      CHECK(sums[1] == static_cast<float>(std::count_if(label.begin(), label.end(), [](int l) { return l < 255; })));
      return join({sums, d_logits});
    });
  }
}

TEST_CASE("matrix products have the same bits for every number of threads") {
  for (const bool transposed : {false, true}) {
    const MatmulDims dims{2, 95, 70, 700, transposed, transposed, 0.3f};
    const Floats a = numbers(dims.batch * dims.m * dims.k, 1), b = numbers(dims.batch * dims.k * dims.n, 2);
    check_threads([&](CpuContext& ctx) {
      Floats c(static_cast<size_t>(dims.batch * dims.m * dims.n));
      const auto matmul = prepare_matmul(ctx, dims);
      const Workspace workspace(ctx, matmul->workspace_bytes());
      matmul->run(a.data(), b.data(), c.data(), workspace);
      return c;
    });
  }
}

TEST_CASE("PSA has the same bits for every number of threads") {
  for (auto mode : {PsaMode::collect, PsaMode::distribute}) {
    for (const bool compact : {false, true}) {
      const PsaDims dims{2, 11, 9, 21, 13, 17, mode, compact, true, 0.5f};
      const int64_t count = dims.batch * dims.positions();
      const Floats value = numbers(count * dims.channels, 6), d_out = numbers(count * dims.channels, 7);
      const Floats logits = numbers(count * dims.logit_channels(), 8, 4);
      check_threads([&](CpuContext& ctx) {
        Floats out(value.size()), d_value(value.size()), d_logits(logits.size());
        Floats statistics(static_cast<size_t>(count * 2));
        const Workspace workspace(ctx, psa_workspace_bytes(ctx, dims));
        psa_forward(ctx, dims, value.data(), logits.data(), out.data(), statistics.data(), workspace);
        psa_backward(ctx, dims, value.data(), logits.data(), out.data(), statistics.data(), d_out.data(),
                     d_value.data(), d_logits.data(), workspace);
        return join({out, statistics, d_value, d_logits});
      });
    }
  }
}

TEST_CASE("pooling, resizing, softmax, dropout and SGD have the same bits for every number of threads") {
  const PoolDims pool{2, 17, 13, 70, 3, 3, 2, 2, 1, 1};
  const ResizeDims resize{2, 17, 13, 70, 9, 31, true};
  const Floats x = numbers(2 * 17 * 13 * 70, 9);
  const Floats pooled = numbers(2 * 9 * 7 * 70, 10), resized = numbers(2 * 9 * 31 * 70, 11);
  check_threads([&](CpuContext& ctx) {
    Floats y(pooled.size()), d_x(x.size()), r(resized.size()), d_r(x.size()), s(x.size()), d_s(x.size());
    std::vector<uint8_t> winner(y.size());
    max_pool_forward(ctx, pool, x.data(), y.data(), winner.data());
    max_pool_backward(ctx, pool, winner.data(), pooled.data(), d_x.data());
    resize_forward(ctx, resize, x.data(), r.data());
    resize_backward(ctx, resize, resized.data(), d_r.data());
    const SoftmaxDims softmax{2 * 17 * 13, 70};
    softmax_forward(ctx, softmax, x.data(), s.data());
    softmax_backward(ctx, softmax, s.data(), x.data(), d_s.data());
    return join({y, d_x, r, d_r, s, d_s});
  });
  check_threads([&](CpuContext& ctx) {
    Floats w = x, v = numbers(static_cast<int64_t>(x.size()), 12), bias(3, 1.0f), bias_v(3, 0.0f), factor(2 * 70);
    const float rate = 0.1f;
    const int64_t counter[2] = {7, 123456789012};
    const SgdTensor tensors[] = {{bias.data(), bias_v.data(), pooled.data(), 3, 10.0f, 0.0f},
                                 {w.data(), v.data(), x.data(), static_cast<int64_t>(x.size()), 1.0f, 1e-4f}};
    for (int step = 0; step < 3; ++step) sgd_step(ctx, tensors, 0.9f, &rate);
    dropout_factors(ctx, {2, 17 * 13, 70, 0.3}, 99, counter, factor.data());
    Floats dropped(x.size());
    channel_scale(ctx, {2, 17 * 13, 70, 0.3}, x.data(), factor.data(), dropped.data());
    return join({w, v, bias, bias_v, factor, dropped});
  });
}

}  // namespace psanet::tests
