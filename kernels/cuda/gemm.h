// Matrix products with leading dimensions and strides: by cuBLASLt (vendor/gemm.cpp), or by our own kernel.
#pragma once

#include <memory>
#include <string>

#include "kernels/matmul.h"

namespace psanet::kernels::cuda {

/// c [m, n] = scale * op(a) op(b) + beta * c for each of `batch` matrices, row-major. a is [m, k] or, transposed,
/// [k, m]; b is [k, n] or [n, k]. Distances in values: from row to row (ld_*) and from matrix to matrix (stride_*; they
/// may overlap in a and b).
struct GemmDims {
  int64_t m = 0, n = 0, k = 0, batch = 1;
  bool transpose_a = false, transpose_b = false;
  int64_t ld_a = 0, ld_b = 0, ld_c = 0;
  int64_t stride_a = 0, stride_b = 0, stride_c = 0;
  Scalar in = Scalar::f32, out = Scalar::f32;  // of a and b; of c
  float scale = 1.0f, beta = 0.0f;
};

using Gemm = Matmul;

/// Alignments are read off the dimensions: every pointer must be a multiple of 16 bytes. What the library cannot do our
/// own kernel does.
std::shared_ptr<Gemm> prepare_gemm(CudaContext& ctx, const GemmDims& dims);

/// The library's product, of dimensions that are not 0; null if it has no algorithm that adds in a fixed order. Throws
/// DeviceError with the library's words for whatever else it refuses.
std::shared_ptr<Gemm> library_gemm(CudaContext& ctx, const GemmDims& dims);

/// "matrix product float [2,3] x transposed [3,4] to float, 1 of them", for messages.
std::string words(const GemmDims& dims);

/// "cuBLASLt 13.0.1", for reports.
std::string gemm_library_version();

}  // namespace psanet::kernels::cuda
