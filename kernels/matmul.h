// Batched matrix product, row-major.
#pragma once

#include <memory>

#include "kernels/context.h"

namespace psanet::kernels {

/// c [batch, m, n] = scale * op(a) op(b); a is [batch, m, k] or, transposed, [batch, k, m]; b is [batch, k, n] or
/// [batch, n, k].
struct MatmulDims {
  int64_t batch = 1, m = 0, n = 0, k = 0;
  bool transpose_a = false, transpose_b = false;
  float scale = 1.0f;
  Scalar scalar = Scalar::f32;  // of a, b and c
  double flops() const { return 2.0 * static_cast<double>(batch * m) * static_cast<double>(n * k); }
};

class Matmul {
 public:
  virtual ~Matmul() = default;
  virtual int64_t workspace_bytes() const = 0;
  virtual void run(const void* a, const void* b, void* c, void* workspace) = 0;
};

/// On the CPU only float.
std::shared_ptr<Matmul> prepare_matmul(CpuContext& ctx, const MatmulDims& dims);
std::shared_ptr<Matmul> prepare_matmul(CudaContext& ctx, const MatmulDims& dims);

}  // namespace psanet::kernels
