// What PSANET_CUDA_CHECK does.
#include <fmt/format.h>

#include "kernels/cuda/runtime.h"

namespace psanet::kernels::cuda {

void check(cudaError_t result, const char* what, const char* file, int line) {
  if (result == cudaSuccess) return;
  cudaGetLastError();  // else the next check would report it again
  throw DeviceError(fmt::format("CUDA: {} ({} at {}:{})", cudaGetErrorString(result), what, file, line));
}

void require_shared_memory(const CudaContext& ctx, int64_t bytes) {
  if (bytes <= ctx.runtime->shared_bytes_of_block) return;
  throw DeviceError(fmt::format(
      "CUDA device {} ({}) is too small: a kernel wants {} KiB of shared memory for a block, this GPU has {} KiB",
      ctx.device, ctx.runtime->name, (bytes + 1023) / 1024, ctx.runtime->shared_bytes_of_block / 1024));
}

}  // namespace psanet::kernels::cuda
