// Our own matrix product and convolution: for what the vendor libraries cannot do in a fixed order, and to check them.
// Both add in an order that depends on the shape and the number of multiprocessors alone. Float is IEEE float, whatever
// Float32Math allows.
#pragma once

#include <memory>

#include "kernels/cuda/convolution.h"
#include "kernels/cuda/gemm.h"

namespace psanet::kernels::cuda {

/// Every product with values (k may be 0); pointers 16-byte aligned. Throws std::invalid_argument where an extent is
/// not below 2^31.
std::shared_ptr<Gemm> own_gemm(CudaContext& ctx, const GemmDims& dims);

/// Every problem with values: all passes and types, epilogue included (its bias in float). As above.
std::shared_ptr<ConvolutionPlan> own_convolution(CudaContext& ctx, const ConvolutionProblem& problem);

}  // namespace psanet::kernels::cuda
