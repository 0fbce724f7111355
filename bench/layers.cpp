// Convolution, batch norm, pooling, resize and the loss head at PSANet50's shapes.
#include "bench/op_bench.h"
#include "layers/batch_norm.h"
#include "layers/conv2d.h"
#include "layers/cross_entropy.h"
#include "layers/pool.h"
#include "layers/resize.h"

namespace psanet::bench {
namespace {

/// in channels, out channels, map, kernel, stride, dilation; batch 1
void conv2d(benchmark::State& state, bool backward) {
  const int64_t in = state.range(0), out = state.range(1), size = state.range(2), kernel = state.range(3),
                dilation = state.range(5);
  layers::Conv2d op;
  op.stride = {state.range(4), state.range(4)};
  op.dilation = {dilation, dilation};
  op.padding = {kernel / 2 * dilation, kernel / 2 * dilation};
  run_op(state, op, {f32({1, size, size, in}), f32({out, kernel, kernel, in})}, backward);
}

void psanet50_convolutions(benchmark::internal::Benchmark* b) {
  b->ArgNames({"in", "out", "size", "kernel", "stride", "dilation"});
  b->Args({3, 64, 465, 3, 2, 1})->Args({64, 128, 233, 3, 1, 1})->Args({64, 256, 117, 1, 1, 1});
  b->Args({128, 128, 59, 3, 1, 1})->Args({1024, 256, 59, 1, 1, 1})->Args({256, 256, 59, 3, 1, 2});
  b->Args({512, 2048, 59, 1, 1, 1})->Args({512, 512, 59, 3, 1, 4})->Args({4096, 512, 59, 3, 1, 1});
  b->Unit(benchmark::kMillisecond)->UseRealTime();
}
BENCHMARK_CAPTURE(conv2d, forward, false)->Apply(psanet50_convolutions);
BENCHMARK_CAPTURE(conv2d, forward_backward, true)->Apply(psanet50_convolutions);

void batch_norm(benchmark::State& state, bool backward) {
  const int64_t size = state.range(0), channels = state.range(1);
  layers::BatchNormApply op;
  op.relu = true;
  const Type vector = f32({channels});
  run_op(state, op, {f32({1, size, size, channels}), vector, vector, vector, vector}, backward);
  state.SetBytesProcessed(state.iterations() * size * size * channels * 4 * (backward ? 9 : 2));
}
void norm_sizes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"size", "channels"})
      ->Args({233, 128})
      ->Args({117, 256})
      ->Args({59, 2048})
      ->Unit(benchmark::kMillisecond)
      ->UseRealTime();
}
BENCHMARK_CAPTURE(batch_norm, forward, false)->Apply(norm_sizes);
BENCHMARK_CAPTURE(batch_norm, forward_backward, true)->Apply(norm_sizes);

void batch_norm_statistics(benchmark::State& state) {
  const int64_t size = state.range(0), channels = state.range(1);
  run_op(state, layers::BatchNormStatistics{}, {f32({1, size, size, channels})}, false);
  state.SetBytesProcessed(state.iterations() * size * size * channels * 4);
}
BENCHMARK(batch_norm_statistics)->Apply(norm_sizes);

/// Resize 59 -> 465, softmax cross entropy and its gradient, 150 classes: both heads of PSANet50 do this.
void loss_head(benchmark::State& state) {
  run_op(state, layers::ResizeCrossEntropy{}, {f32({1, 59, 59, 150}), Type{DType::u8, {1, 465, 465}}}, true, 1, 150);
}
BENCHMARK(loss_head)->Unit(benchmark::kMillisecond)->UseRealTime();

void resize(benchmark::State& state, bool backward) {
  layers::Resize op;
  op.height = op.width = 59;
  run_op(state, op, {f32({1, 30, 30, 2048})}, backward);
}
BENCHMARK_CAPTURE(resize, forward, false)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK_CAPTURE(resize, forward_backward, true)->Unit(benchmark::kMillisecond)->UseRealTime();

void max_pool(benchmark::State& state, bool backward) {
  run_op(state, layers::MaxPool{}, {f32({1, 233, 233, 128})}, backward);
}
BENCHMARK_CAPTURE(max_pool, forward, false)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK_CAPTURE(max_pool, forward_backward, true)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
}  // namespace psanet::bench
