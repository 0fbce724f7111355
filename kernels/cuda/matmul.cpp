#include "kernels/matmul.h"

#include "kernels/cuda/gemm.h"

namespace psanet::kernels {

namespace cuda {
namespace {

/// Dense matrices behind each other.
GemmDims dense(const MatmulDims& d) {
  GemmDims g;
  g.m = d.m;
  g.n = d.n;
  g.k = d.k;
  g.batch = d.batch;
  g.transpose_a = d.transpose_a;
  g.transpose_b = d.transpose_b;
  g.ld_a = d.transpose_a ? d.m : d.k;
  g.ld_b = d.transpose_b ? d.k : d.n;
  g.ld_c = d.n;
  g.stride_a = d.m * d.k;
  g.stride_b = d.k * d.n;
  g.stride_c = d.m * d.n;
  g.in = g.out = d.scalar;
  g.scale = d.scale;
  return g;
}

}  // namespace
}  // namespace cuda

std::shared_ptr<Matmul> prepare_matmul(CudaContext& ctx, const MatmulDims& dims) {
  return cuda::prepare_gemm(ctx, cuda::dense(dims));
}

}  // namespace psanet::kernels
