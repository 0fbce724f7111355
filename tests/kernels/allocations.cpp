// While they run, our kernels allocate nothing, and those of oneDNN no more than it needs for its table of arguments.
#include "kernels/batch_norm.h"
#include "kernels/conv2d.h"
#include "kernels/dropout.h"
#include "kernels/elementwise.h"
#include "kernels/loss.h"
#include "kernels/matmul.h"
#include "kernels/pointwise.h"
#include "kernels/pool.h"
#include "kernels/psa.h"
#include "kernels/sgd.h"
#include "kernels/softmax.h"
#include "tests/kernels/support.h"
#include "tests/support/allocation_count.h"
#include "tests/support/catch.h"

namespace psanet::tests {

using namespace kernels;

namespace {

/// Allocations of one run after a first one, in which OpenMP starts its threads.
template <class Run>
int64_t allocations_of(const Run& run) {
  run();
  const int64_t before = allocations();
  run();
  return allocations() - before;
}

}  // namespace

TEST_CASE("our own CPU kernels allocate nothing") {
  if (!allocations_are_counted()) return;
  const int threads = GENERATE(1, 2);
  CpuContext ctx(threads);
  const int64_t rows = 15 * 15, channels = 64, count = rows * channels;
  const Floats x = numbers(count, 1), d_y = numbers(count, 2), per_channel = positive(channels, 3);
  Floats y(x.size()), d_x(x.size()), sums(2 * 64), statistics(2 * rows);
  std::vector<uint8_t> bytes(x.size());
  const float* c = per_channel.data();

  const BatchNormDims norm{rows, channels};
  CHECK(allocations_of([&] { batch_norm_statistics(ctx, norm, x.data(), &sums[0], &sums[64]); }) == 0);
  CHECK(
      allocations_of([&] {
        batch_norm_apply(ctx, norm, {true, true}, x.data(), c, c, c, c, d_y.data(), y.data());
        batch_norm_backward_reduce(ctx, norm, {true, true}, x.data(), y.data(), c, c, d_y.data(), &sums[0], &sums[64]);
        batch_norm_backward_apply(ctx, norm, {false, true}, 225, x.data(), y.data(), c, c, c, c, c, d_y.data(),
                                  d_x.data(), nullptr);
      }) == 0);
  CHECK(allocations_of([&] {
          map(ctx, count, Relu{}, x.data(), y.data());
          map(ctx, count, Sum{}, x.data(), y.data(), y.data());
          bias_backward(ctx, {rows, channels}, d_y.data(), sums.data());
          fill_zero(ctx, y.data(), count * 4);
          copy_on_device(ctx, y.data(), x.data(), count * 4);
          first_non_finite(ctx, count, x.data());
        }) == 0);
  const PoolDims pool{1, 15, 15, channels, 3, 3, 2, 2, 1, 1};
  CHECK(allocations_of([&] {
          max_pool_forward(ctx, pool, x.data(), y.data(), bytes.data());
          max_pool_backward(ctx, pool, bytes.data(), d_y.data(), d_x.data());
        }) == 0);
  const SgdTensor tensor{y.data(), d_x.data(), d_y.data(), count};
  const float rate = 0.1f;
  CHECK(allocations_of([&] { sgd_step(ctx, {&tensor, 1}, 0.9f, &rate); }) == 0);
  CHECK(allocations_of([&] { softmax_forward(ctx, {rows, channels}, x.data(), y.data()); }) == 0);

  const ResizeDims resize{1, 15, 15, 64, 57, 57, true};
  const auto label = labels(57 * 57, 64, 4);
  const Workspace loss_workspace(ctx, resize_cross_entropy_workspace_bytes(ctx, resize));
  bytes.resize(57 * 57);
  CHECK(allocations_of([&] {
          resize_cross_entropy(ctx, resize, 255, x.data(), label.data(), &sums[0], &sums[1], d_x.data(),
                               loss_workspace);
          resize_argmax(ctx, resize, x.data(), bytes.data());
        }) == 0);

  const PsaDims psa{1, 15, 15, channels, 29, 29};
  const Floats logits = numbers(rows * psa.logit_channels(), 5);
  Floats d_logits(logits.size()), out(x.size());
  const Workspace psa_workspace(ctx, psa_workspace_bytes(ctx, psa));
  CHECK(allocations_of([&] {
          psa_forward(ctx, psa, x.data(), logits.data(), out.data(), statistics.data(), psa_workspace);
          psa_backward(ctx, psa, x.data(), logits.data(), out.data(), statistics.data(), d_y.data(), d_x.data(),
                       d_logits.data(), psa_workspace);
        }) == 0);
}

TEST_CASE("convolutions and matrix products allocate no tensors while they run") {
  if (!allocations_are_counted()) return;
  CpuContext ctx(2);
  // Without dilation: on processors without AVX-512 oneDNN makes the weight gradient of a dilated convolution from a
  // general matrix product, which allocates room to pack its operands.
  const Conv2dDims dims{2, 33, 33, 64, 96, 3, 3, 1, 1, 1, 1};
  const Floats x = numbers(2 * 33 * 33 * 64, 1), w = numbers(96 * 9 * 64, 2), b = numbers(96, 3);
  const Floats y = numbers(2 * 33 * 33 * 96, 4);
  Floats out(y.size()), d_x(x.size()), d_w(w.size());
  const auto forward = prepare_conv2d_forward(ctx, dims, {true, true, true});
  const auto data = prepare_conv2d_backward_data(ctx, dims);
  const auto weights = prepare_conv2d_backward_weights(ctx, dims);
  const auto matmul = prepare_matmul(ctx, {1, 64, 128, 96, true});
  const Workspace workspace(ctx, std::max({forward->workspace_bytes(), data->workspace_bytes(),
                                           weights->workspace_bytes(), matmul->workspace_bytes()}));
  CHECK(allocations_of([&] { forward->run(x.data(), w.data(), b.data(), y.data(), out.data(), workspace); }) == 0);
  CHECK(allocations_of([&] { data->run(y.data(), w.data(), d_x.data(), workspace); }) == 0);
  CHECK(allocations_of([&] { weights->run(x.data(), y.data(), d_w.data(), workspace); }) == 0);
  CHECK(allocations_of([&] { matmul->run(x.data(), y.data(), out.data(), workspace); }) == 0);
}

}  // namespace psanet::tests
