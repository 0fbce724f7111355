// The limits that every other figure is held against: bytes of a large copy, operations of a large matrix product.
#include "bench/benchmarks.h"
#include "bench/op_bench.h"
#include "layers/concat.h"
#include "layers/matmul.h"

namespace psanet::bench {

void register_ceilings() {
  const int64_t copied = tiny() ? int64_t{1} << 12 : device().is_cpu() ? int64_t{1} << 25 : int64_t{1} << 30;  // values
  timed("ceiling_copy", [copied](benchmark::State& state) {
    run_op(state, layers::Reshape{{1, copied}}, {activation({copied})}, false);
  });
  const int64_t n = tiny() ? 32 : device().is_cpu() ? 1024 : 8192;
  timed("ceiling_matmul", [n](benchmark::State& state) {
    run_op(state, layers::Matmul{}, {activation({1, n, n}), activation({1, n, n})}, false);
  });
}

}  // namespace psanet::bench
