// What PSANET_CUDA_CHECK does.
#include <fmt/format.h>

#include "kernels/cuda/runtime.h"

namespace psanet::kernels::cuda {

void check(cudaError_t result, const char* what, const char* file, int line) {
  if (result == cudaSuccess) return;
  cudaGetLastError();  // else the next check would report it again
  throw DeviceError(fmt::format("CUDA: {} ({} at {}:{})", cudaGetErrorString(result), what, file, line));
}

}  // namespace psanet::kernels::cuda
