// The fully connected CRF on a made-up picture (photographs differ in how many lattice vertices they need).
#include "kernels/dense_crf.h"

#include <sys/resource.h>

#include <vector>

#include "bench/benchmarks.h"
#include "bench/op_bench.h"

namespace psanet::bench {
namespace {

void dense_crf(benchmark::State& state) {
  const kernels::DenseCrfDims dims{state.range(0), state.range(1), state.range(2)};
  kernels::DenseCrfParameters parameters;
  parameters.iterations = state.range(3);
  const auto pixels = static_cast<size_t>(dims.height * dims.width), classes = static_cast<size_t>(dims.classes);
  std::vector<uint8_t> image(3 * pixels);
  std::vector<float> unary(pixels * classes), q(unary.size());
  uint32_t random = 1;
  const auto next = [&] { return (random = random * 1664525u + 1013904223u) >> 16; };
  for (size_t i = 0; i < image.size(); ++i) image[i] = static_cast<uint8_t>(i / 3 / 50 % 200 + next() % 8);
  for (float& energy : unary) energy = static_cast<float>(next() % 1000) / 300.0f;
  kernels::CpuContext ctx(static_cast<int>(state.range(4)));
  for (auto _ : state) kernels::dense_crf(ctx, dims, parameters, image.data(), unary.data(), q.data());
  rusage use{};
  getrusage(RUSAGE_SELF, &use);
  state.counters["bound_MiB"] = static_cast<double>(dense_crf_peak_bytes(dims)) / 1048576.0;
  state.counters["process_peak_MiB"] = static_cast<double>(use.ru_maxrss) / 1024.0;  // of all benchmarks so far
}

}  // namespace

void register_dense_crf() {
  if (!device().is_cpu()) return;
  timed("dense_crf", dense_crf)
      ->ArgNames({"height", "width", "classes", "iterations", "threads"})
      ->MeasureProcessCPUTime()
      ->Args({480, 640, 21, 10, 1})
      ->Args({480, 640, 21, 10, 2})
      ->Args({480, 640, 21, 1, 2})
      ->Args({480, 640, 150, 10, 2});
}

}  // namespace psanet::bench
