#include "kernels/cuda/runtime.h"

namespace psanet::kernels::cuda {

namespace {
__global__ void nothing_kernel() {}
}  // namespace

cudaError_t find_kernels() {
  cudaFuncAttributes attributes;
  const cudaError_t found = cudaFuncGetAttributes(&attributes, nothing_kernel);
  if (found != cudaSuccess) cudaGetLastError();
  return found;
}

}  // namespace psanet::kernels::cuda
