// The attention operation alone (from ready logits), and with the convolution that predicts the over-complete map.
#include "bench/benchmarks.h"
#include "bench/op_bench.h"
#include "layers/conv2d.h"
#include "layers/psa_projected.h"

namespace psanet::bench {
namespace {

constexpr int64_t kChannels = 512;

layers::Psa attention(layers::PsaMode mode, int64_t mask) {
  layers::Psa op;
  op.mode = mode;
  op.mask_h = op.mask_w = mask;
  return op;
}

void psa(benchmark::State& state, layers::PsaMode mode, bool backward) {
  const int64_t n = state.range(0), size = state.range(1), mask = state.range(2);
  run_op(state, attention(mode, mask),
         {activation({n, size, size, kChannels}), activation({n, size, size, mask * mask})}, backward);
}

/// With the 1x1 convolution kChannels -> mask * mask in front, one branch, forward.
void psa_with_logits(benchmark::State& state, layers::PsaMode mode) {
  const int64_t n = state.range(0), size = state.range(1), mask = state.range(2);
  Graph graph;
  const Value value = graph.input("value", activation({n, size, size, kChannels})),
              features = graph.input("features", activation({n, size, size, kChannels})),
              weight = graph.input("weight", activation({mask * mask, 1, 1, kChannels}));
  const Value logits = graph.add("logits", layers::Conv2d{}, {features, weight});
  graph.output("out", graph.add("psa", attention(mode, mask), {value, logits}));
  guarded(state, [&] {
    Parameters parameters(device());
    Program program(device(), graph, parameters);
    fill_inputs(program, 0.2, 2);
    run_program(state, program);
  });
}

/// What runs on a GPU instead of the two: only the scores that are needed.
void psa_projected(benchmark::State& state, layers::PsaMode mode, bool backward) {
  const int64_t n = state.range(0), size = state.range(1), mask = state.range(2);
  const Type map = activation({n, size, size, kChannels});
  run_op(state, layers::PsaProjected{attention(mode, mask)}, {map, map, activation({mask * mask, 1, 1, kChannels})},
         backward, 0.2);
}

}  // namespace

void register_psa() {
  const auto sizes = [](Timed* b) {
    b->ArgNames({"batch", "size", "mask"});
    using Sizes = std::vector<std::pair<int64_t, int64_t>>;
    for (int64_t batch : batches()) {
      for (auto [size, mask] : tiny() ? Sizes{{5, 9}} : Sizes{{30, 59}, {45, 89}, {59, 59}, {59, 117}})
        b->Args({batch, size, mask});
    }
  };
  for (auto [mode, name] :
       {std::pair{layers::PsaMode::collect, "collect"}, {layers::PsaMode::distribute, "distribute"}}) {
    const std::string prefix = std::string("psa/") + name;
    sizes(timed(prefix + "_forward", psa, mode, false));
    sizes(timed(prefix + "_forward_backward", psa, mode, true));
    if (!device().is_cpu()) {
      const std::string projected = std::string("psa_projected/") + name;
      sizes(timed(projected + "_forward", psa_projected, mode, false));
      sizes(timed(projected + "_forward_backward", psa_projected, mode, true));
    }
    sizes(timed("psa_with_logits/" + std::string(name) + "_forward", psa_with_logits, mode));
  }
}

}  // namespace psanet::bench
