// Where kernels run. A context is passed to every kernel; overloads on its type choose the backend at compile time.
//
// What holds for every CUDA overload: it is asynchronous (one stream; synchronize() waits), its pointers are device
// memory, and it may be captured into a Recording. T is the type that activations are stored as, float or bf16;
// arithmetic, statistics, losses and gradients of parameters are float in both cases.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kernels/bf16.h"

// What is written once for all backends.
#ifdef __CUDACC__
#define PSANET_EVERYWHERE __host__ __device__
#else
#define PSANET_EVERYWHERE
#endif

namespace psanet::kernels {

namespace cpu {
struct OneDnn;  // oneDNN's engine and stream, defined in kernels/cpu/onednn.h
}
namespace cuda {
struct Runtime;  // stream, scratch memory, vendor handles, defined in kernels/cuda/runtime.h
}

/// The processor: `threads` OpenMP threads, oneDNN for convolutions and matrix products.
struct CpuContext {
  /// threads <= 0: as many as the process may use (affinity mask, OMP_NUM_THREADS).
  explicit CpuContext(int threads = 0);

  int threads;
  std::shared_ptr<cpu::OneDnn> onednn;
};

/// One line for reports: processor name, threads, instruction set and library versions.
std::string describe(const CpuContext& ctx);

/// What float32 matrix products and convolutions may do on a GPU.
enum class Float32Math : uint8_t { ieee, tf32 };

/// One NVIDIA GPU: a stream, cuDNN for convolutions, cuBLASLt for matrix products, our own kernels for the rest.
struct CudaContext {
  /// Throws DeviceError, in one line that says which, if there is no driver, if it is too old, if there is no such
  /// device, if that is too old or if this program holds no kernels for it.
  explicit CudaContext(int device = 0, Float32Math math = Float32Math::ieee);
  /// Of what others made, a GPU or not (kernels/cuda/convolution.h).
  CudaContext(std::shared_ptr<cuda::Runtime> made, Float32Math wanted)
      : device(0), math(wanted), runtime(std::move(made)) {}

  int device;
  Float32Math math;
  std::shared_ptr<cuda::Runtime> runtime;
};

/// Name of the GPU, compute capability, memory, driver and library versions.
std::string describe(const CudaContext& ctx);

/// Number of GPUs that can be used: 0 without a driver (no error).
int cuda_device_count();
/// Why cuda_device_count() is 0: no driver, one that is too old, no GPU; empty if it is not.
std::string why_no_cuda_device();
/// Is there an NVIDIA driver, whatever its age? Then somebody may expect that GPUs are used.
bool cuda_driver_installed();

}  // namespace psanet::kernels
