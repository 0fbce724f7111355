#include "kernels/matmul.h"

#include "tests/cuda/support.h"

namespace psanet::tests {
namespace {

template <class T>
void check_matmul(kernels::MatmulDims dims) {
  INFO(fmt::format("{} times {}x{}x{}, transposed {} {}", dims.batch, dims.m, dims.n, dims.k, dims.transpose_a,
                   dims.transpose_b));
  const std::vector<float> a = through<T>(random_values(dims.batch * dims.m * dims.k, 1));
  const std::vector<float> b = through<T>(random_values(dims.batch * dims.k * dims.n, 2));
  std::vector<float> wanted(static_cast<size_t>(dims.batch * dims.m * dims.n));
  const auto reference = kernels::prepare_matmul(cpu(), dims);
  std::vector<float> host_workspace(static_cast<size_t>(reference->workspace_bytes() / 4 + 64));
  reference->run(a.data(), b.data(), wanted.data(), host_workspace.data());

  dims.scalar = kernels::kScalar<T>;
  const auto matmul = kernels::prepare_matmul(cuda(), dims);
  const Array<T> a_there(stored<T>(a)), b_there(stored<T>(b)), c(dims.batch * dims.m * dims.n);
  const Array<uint8_t> workspace(matmul->workspace_bytes());
  SameBits<T> same_bits;
  for_each_schedule([&] {
    c.poison();
    workspace.poison();
    matmul->run(a_there.data(), b_there.data(), c.data(), workspace.data());
    check_close(as_floats(c.get()), wanted, tolerance<T>(2), "matrix product");
    same_bits(c.get());
  });
}

TEST_CASE("matmul: all transpositions of odd shapes in batches") {
  for (auto [m, n, k] : {std::tuple<int64_t, int64_t, int64_t>{1, 1, 1}, {3, 5, 7}, {16, 8, 32}, {21, 19, 64}}) {
    for (int64_t batch : {1, 3}) {
      for (unsigned bits = 0; bits < 4; ++bits) {
        kernels::MatmulDims dims;
        dims.batch = batch;
        dims.m = m;
        dims.n = n;
        dims.k = k;
        dims.transpose_a = (bits & 1) != 0;
        dims.transpose_b = (bits & 2) != 0;
        dims.scale = bits == 1 ? 1.0f : 0.25f;
        check_matmul<float>(dims);
        check_matmul<bf16>(dims);
      }
    }
  }
}

}  // namespace
}  // namespace psanet::tests
