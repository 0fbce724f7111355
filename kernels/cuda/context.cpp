#include "kernels/context.h"

#include <fmt/format.h>

#include <cstdlib>

#include "kernels/cuda/block_choice.h"
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

namespace {

std::string version(int number) {
  return fmt::format("{}.{}", number / 1000, number % 1000 / 10);
}

/// Versions of CUDA: 0 for a driver that is not there.
struct Versions {
  int driver = 0, runtime = 0;
  Versions() {
    if (cudaDriverGetVersion(&driver) != cudaSuccess) driver = 0;
    if (cudaRuntimeGetVersion(&runtime) != cudaSuccess) runtime = 0;
    cudaGetLastError();
  }
};

constexpr int kOldestCapability = 80;  // bf16 products and asynchronous copies

}  // namespace

std::string why_no_cuda_device() {
  int count = 0;
  const cudaError_t result = cudaGetDeviceCount(&count);
  if (result == cudaSuccess && count > 0) return "";
  cudaGetLastError();
  const Versions versions;
  if (versions.driver == 0) return "no NVIDIA driver is installed (libcuda.so.1 was not found)";
  if (versions.driver < versions.runtime) {
    return fmt::format("the NVIDIA driver is too old: it knows CUDA {}, this program needs {}",
                       version(versions.driver), version(versions.runtime));
  }
  if (result == cudaSuccess || result == cudaErrorNoDevice) {
    const char* visible = std::getenv("CUDA_VISIBLE_DEVICES");
    return fmt::format("the NVIDIA driver knows no GPU{}",
                       visible == nullptr ? "" : fmt::format(" (CUDA_VISIBLE_DEVICES={})", visible));
  }
  return cudaGetErrorString(result);
}

bool cuda_driver_installed() {
  return Versions().driver != 0;
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
  const auto refuse = [&](const std::string& why) {
    throw DeviceError(fmt::format("CUDA device {} ({}, compute capability {}.{}) cannot be used: {}", device,
                                  properties.name, properties.major, properties.minor, why));
  };
  if (properties.major * 10 + properties.minor < kOldestCapability) {
    refuse("it is too old, 8.0 (Ampere) or later is needed");
  }
  if (const cudaError_t found = cuda::find_kernels(); found == cudaErrorNoKernelImageForDevice) {
    refuse(fmt::format("this program was built for other GPUs; build it with CMAKE_CUDA_ARCHITECTURES={}{}",
                       properties.major, properties.minor));
  } else if (found != cudaSuccess) {
    refuse(cudaGetErrorString(found));
  }
  runtime = std::make_shared<cuda::Runtime>();
  runtime->device = device;
  runtime->name = properties.name;
  runtime->multiprocessors = properties.multiProcessorCount;
  runtime->shared_bytes_of_block = static_cast<int64_t>(properties.sharedMemPerBlockOptin);
  PSANET_CUDA_CHECK(cudaStreamCreateWithFlags(&runtime->stream, cudaStreamNonBlocking));
  PSANET_CUDA_CHECK(cudaMalloc(&runtime->scratch, static_cast<size_t>(cuda::kScratch_bytes)));
  runtime->scratch_bytes = cuda::kScratch_bytes;
  runtime->staging = std::make_shared<cuda::Staging>();
}

std::string describe(const CudaContext& ctx) {
  cudaDeviceProp properties;
  PSANET_CUDA_CHECK(cudaGetDeviceProperties(&properties, ctx.device));
  const Versions versions;
  return fmt::format("CUDA {}: {}, compute capability {}.{}, {:.0f} GiB, driver {}, runtime {}, {}", ctx.device,
                     properties.name, properties.major, properties.minor,
                     static_cast<double>(properties.totalGlobalMem) / (1 << 30), version(versions.driver),
                     version(versions.runtime),
                     cuda::gemm_library_version() + ", " + cuda::convolution_library_version());
}

namespace cuda {

int multiprocessors(const CudaContext& ctx) {
  return ctx.runtime->multiprocessors;
}

void pretend_multiprocessors(CudaContext& ctx, int count) {
  ctx.runtime->multiprocessors = count;
}

}  // namespace cuda
}  // namespace psanet::kernels
