// Convolution, batch norm, pooling, resize and the loss head at PSANet50's shapes.
#include "bench/benchmarks.h"
#include "bench/op_bench.h"
#include "layers/batch_norm.h"
#include "layers/conv2d.h"
#include "layers/cross_entropy.h"
#include "layers/pool.h"
#include "layers/resize.h"

namespace psanet::bench {
namespace {

void conv2d(benchmark::State& state, bool backward) {
  const int64_t n = state.range(0), in = state.range(1), out = state.range(2), size = state.range(3),
                kernel = state.range(4), dilation = state.range(6);
  layers::Conv2d op;
  op.stride = {state.range(5), state.range(5)};
  op.dilation = {dilation, dilation};
  op.padding = {kernel / 2 * dilation, kernel / 2 * dilation};
  run_op(state, op, {activation({n, size, size, in}), activation({out, kernel, kernel, in})}, backward);
}

void batch_norm(benchmark::State& state, bool backward) {
  const int64_t n = state.range(0), size = state.range(1), channels = state.range(2);
  layers::BatchNormApply op;
  op.relu = true;
  const Type vector = f32({channels});
  run_op(state, op, {activation({n, size, size, channels}), vector, vector, vector, vector}, backward);
}

void batch_norm_statistics(benchmark::State& state) {
  run_op(state, layers::BatchNormStatistics{},
         {activation({state.range(0), state.range(1), state.range(1), state.range(2)})}, false);
}

/// Resize 59 -> 465, softmax cross entropy and its gradient, 150 classes: both heads of PSANet50 do this.
void loss_head(benchmark::State& state) {
  const int64_t n = state.range(0), small = tiny() ? 5 : 59, large = 8 * (small - 1) + 1;
  run_op(state, layers::ResizeCrossEntropy{}, {activation({n, small, small, 150}), Type{DType::u8, {n, large, large}}},
         true, 1, 150);
}

void resize(benchmark::State& state, bool backward) {
  layers::Resize op;
  op.height = op.width = 59;
  run_op(state, op, {activation({state.range(0), 30, 30, 2048})}, backward);
}

void resize_argmax(benchmark::State& state) {
  layers::ResizeArgmax op;
  op.height = op.width = 465;
  run_op(state, op, {activation({state.range(0), 59, 59, 150})}, false);
}

void max_pool(benchmark::State& state, bool backward) {
  run_op(state, layers::MaxPool{}, {activation({state.range(0), 233, 233, 128})}, backward);
}

/// Every batch size in front of the other arguments.
void with_batches(Timed* b, std::vector<std::string> names, const std::vector<std::vector<int64_t>>& arguments) {
  names.insert(names.begin(), "batch");
  b->ArgNames(names);
  for (int64_t n : batches()) {
    for (std::vector<int64_t> a : arguments) {
      a.insert(a.begin(), n);
      b->Args(a);
    }
  }
}

}  // namespace

void register_layers() {
  for (bool backward : {false, true}) {
    const std::string direction = backward ? "/forward_backward" : "/forward";
    with_batches(timed("conv2d" + direction, conv2d, backward), {"in", "out", "size", "kernel", "stride", "dilation"},
                 {{3, 64, 465, 3, 2, 1},
                  {64, 128, 233, 3, 1, 1},
                  {64, 256, 117, 1, 1, 1},
                  {128, 128, 59, 3, 1, 1},
                  {1024, 256, 59, 1, 1, 1},
                  {256, 256, 59, 3, 1, 2},
                  {512, 2048, 59, 1, 1, 1},
                  {512, 512, 59, 3, 1, 4},
                  {4096, 512, 59, 3, 1, 1}});
    with_batches(timed("batch_norm" + direction, batch_norm, backward), {"size", "channels"},
                 {{233, 128}, {117, 256}, {59, 2048}});
    with_batches(timed("resize" + direction, resize, backward), {}, {{}});
    with_batches(timed("max_pool" + direction, max_pool, backward), {}, {{}});
  }
  with_batches(timed("batch_norm_statistics", batch_norm_statistics), {"size", "channels"},
               {{233, 128}, {117, 256}, {59, 2048}});
  with_batches(timed("loss_head", loss_head), {}, {{}});
  with_batches(timed("resize_argmax", resize_argmax), {}, {{}});
}

}  // namespace psanet::bench
