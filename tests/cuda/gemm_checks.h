// Matrix products on the CUDA backend beside loops, for every way that one can go.
#pragma once

#include "kernels/cuda/gemm.h"
#include "tests/cuda/support.h"

namespace psanet::tests {

using kernels::cuda::GemmDims;

inline int64_t extent(int64_t batch, int64_t stride, int64_t rows, int64_t ld, int64_t columns) {
  return (batch - 1) * stride + (rows - 1) * ld + columns;
}

/// Values that lie between the matrices must stay as they are.
template <class In, class Out>
void check_gemm(GemmDims d) {
  d.in = kernels::kScalar<In>;
  d.out = kernels::kScalar<Out>;
  const int64_t a_rows = d.transpose_a ? d.k : d.m, a_columns = d.transpose_a ? d.m : d.k;
  const int64_t b_rows = d.transpose_b ? d.n : d.k, b_columns = d.transpose_b ? d.k : d.n;
  const auto a = through<In>(random_values(extent(d.batch, d.stride_a, a_rows, d.ld_a, a_columns), 1));
  const auto b = through<In>(random_values(extent(d.batch, d.stride_b, b_rows, d.ld_b, b_columns), 2));
  const auto before = through<Out>(random_values(extent(d.batch, d.stride_c, d.m, d.ld_c, d.n), 3));
  std::vector<float> wanted = before;
  for (int64_t n = 0; n < d.batch; ++n) {
    for (int64_t i = 0; i < d.m; ++i) {
      for (int64_t j = 0; j < d.n; ++j) {
        double sum = 0;
        for (int64_t k = 0; k < d.k; ++k) {
          const int64_t at_a = n * d.stride_a + (d.transpose_a ? k * d.ld_a + i : i * d.ld_a + k);
          const int64_t at_b = n * d.stride_b + (d.transpose_b ? j * d.ld_b + k : k * d.ld_b + j);
          sum += static_cast<double>(a[static_cast<size_t>(at_a)]) * b[static_cast<size_t>(at_b)];
        }
        float& c = wanted[static_cast<size_t>(n * d.stride_c + i * d.ld_c + j)];
        c = static_cast<float>(d.scale * sum + static_cast<double>(d.beta) * c);
      }
    }
  }

  const auto gemm = kernels::cuda::prepare_gemm(cuda(), d);
  const Array<In> a_there(stored<In>(a)), b_there(stored<In>(b));
  const Array<Out> c(stored<Out>(before));
  const Array<uint8_t> workspace(gemm->workspace_bytes());
  SameBits<Out> same_bits;
  for_each_schedule([&] {
    c.set(stored<Out>(before));
    workspace.poison();
    gemm->run(a_there.data(), b_there.data(), c.data(), workspace.data());
    check_close(as_floats(c.get()), wanted, tolerance<Out>(2), "GEMM");
    same_bits(c.get());
  });
}

inline void check_all_types(const GemmDims& d) {
  check_gemm<float, float>(d);
  check_gemm<bf16, bf16>(d);
  check_gemm<bf16, float>(d);
}

/// Leading dimensions beyond the row and gaps between matrices.
inline void check_gemms_with_gaps() {
  for (unsigned bits = 0; bits < 4; ++bits) {
    GemmDims d;
    d.m = 13;
    d.n = 24;
    d.k = 40;
    d.batch = 3;
    d.transpose_a = (bits & 1) != 0;
    d.transpose_b = (bits & 2) != 0;
    d.ld_a = (d.transpose_a ? d.m : d.k) + 3;
    d.ld_b = (d.transpose_b ? d.k : d.n) + 8;
    d.ld_c = d.n + 8;
    d.stride_a = 64 * d.ld_a;
    d.stride_b = 64 * d.ld_b;
    d.stride_c = 16 * d.ld_c;
    check_all_types(d);
    d.scale = -0.5f;
    d.beta = 1.0f;
    check_all_types(d);
  }
}

/// Matrices of a batch that overlap in what is read.
inline void check_overlapping_gemms() {
  GemmDims d;
  d.m = 8;
  d.n = 16;
  d.k = 8;
  d.batch = 4;
  d.transpose_b = true;
  d.ld_a = d.ld_b = 8;
  d.ld_c = 16;
  d.stride_a = 8;  // each begins a row after the one before
  d.stride_b = 16;
  d.stride_c = d.m * d.ld_c;
  check_all_types(d);
}

/// One row, one column, and strides that no vector fits.
inline void check_narrow_gemms() {
  for (auto [m, n, k] : {std::tuple<int64_t, int64_t, int64_t>{1, 9, 5}, {9, 1, 5}, {7, 3, 1}}) {
    GemmDims d;
    d.m = m;
    d.n = n;
    d.k = k;
    d.batch = 2;
    d.ld_a = k;
    d.ld_b = n;
    d.ld_c = n;
    d.stride_a = m * k;
    d.stride_b = k * n;
    d.stride_c = m * n;
    check_all_types(d);
  }
}

}  // namespace psanet::tests
