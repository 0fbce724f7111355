#include "kernels/context.h"

#include <fmt/format.h>

#include "kernels/cuda/convolution.h"
#include "kernels/cuda/gemm.h"
#include "kernels/cuda/host_copies.h"
#include "kernels/cuda/runtime.h"

namespace psanet::kernels {

cuda::Runtime::~Runtime() {
  // Nothing can be reported from here, and nothing needs to be: the process gives everything back.
  convolution_library.reset();
  gemm_library.reset();
  staging.reset();
  if (scratch != nullptr) cudaFree(scratch);
  if (stream != nullptr) cudaStreamDestroy(stream);
}

int cuda_device_count() {
  int count = 0;
  if (cudaGetDeviceCount(&count) != cudaSuccess) {
    cudaGetLastError();
    return 0;
  }
  return count;
}

std::string why_no_cuda_device() {
  int count = 0;
  const cudaError_t result = cudaGetDeviceCount(&count);
  if (result == cudaSuccess) return count > 0 ? "" : "the driver knows no device";
  cudaGetLastError();
  return cudaGetErrorString(result);
}

CudaContext::CudaContext(int device_wanted, Float32Math math_wanted) : device(device_wanted), math(math_wanted) {
  const int count = cuda_device_count();
  if (count == 0) throw DeviceError("no CUDA device can be used: " + why_no_cuda_device());
  if (device < 0 || device >= count) {
    throw DeviceError(
        fmt::format("there is no CUDA device {}; this machine has {} (0 to {})", device, count, count - 1));
  }
  PSANET_CUDA_CHECK(cudaSetDevice(device));
  cudaDeviceProp properties;
  PSANET_CUDA_CHECK(cudaGetDeviceProperties(&properties, device));
  runtime = std::make_shared<cuda::Runtime>();
  runtime->device = device;
  runtime->name = properties.name;
  runtime->multiprocessors = properties.multiProcessorCount;
  PSANET_CUDA_CHECK(cudaStreamCreateWithFlags(&runtime->stream, cudaStreamNonBlocking));
  PSANET_CUDA_CHECK(cudaMalloc(&runtime->scratch, static_cast<size_t>(cuda::kScratch_bytes)));
  runtime->scratch_bytes = cuda::kScratch_bytes;
  runtime->staging = std::make_shared<cuda::Staging>();
}

std::string describe(const CudaContext& ctx) {
  cudaDeviceProp properties;
  int driver = 0, runtime = 0;
  PSANET_CUDA_CHECK(cudaGetDeviceProperties(&properties, ctx.device));
  PSANET_CUDA_CHECK(cudaDriverGetVersion(&driver));
  PSANET_CUDA_CHECK(cudaRuntimeGetVersion(&runtime));
  return fmt::format("CUDA {}: {}, compute capability {}.{}, {:.0f} GiB, driver {}.{}, runtime {}.{}, {}", ctx.device,
                     properties.name, properties.major, properties.minor,
                     static_cast<double>(properties.totalGlobalMem) / (1 << 30), driver / 1000, driver % 1000 / 10,
                     runtime / 1000, runtime % 1000 / 10,
                     cuda::gemm_library_version() + ", " + cuda::convolution_library_version());
}

}  // namespace psanet::kernels
