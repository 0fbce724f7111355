// What a CudaContext holds, the one macro that checks CUDA calls, and how kernels are launched.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <tuple>

#include "kernels/context.h"
#include "kernels/cuda/portable.h"
#include "kernels/error.h"

namespace psanet::kernels::cuda {

struct Staging;  // kernels/cuda/host_copies.h

/// One stream: work is done in the order of the calls, so one scratch buffer serves all kernels.
struct Runtime {
  cudaStream_t stream = nullptr;
  int multiprocessors = 1;
  int64_t shared_bytes_of_block = 48 << 10;  // at most
  int device = 0;
  std::string name;

  /// For partial sums within one kernel call.
  void* scratch = nullptr;
  int64_t scratch_bytes = 0;

  /// Host memory that copies to the device pass through.
  std::shared_ptr<Staging> staging;

  /// Handles of vendor libraries, owned here so that they die before the stream.
  std::shared_ptr<void> gemm_library, convolution_library;

  Runtime() = default;
  ~Runtime();
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;
};

inline constexpr int64_t kScratch_bytes = int64_t{64} << 20;

/// Throws DeviceError "<what>: <the driver's words>" unless the call succeeded.
void check(cudaError_t result, const char* what, const char* file, int line);
#define PSANET_CUDA_CHECK(call) ::psanet::kernels::cuda::check(call, #call, __FILE__, __LINE__)

/// Does this program hold kernels that the current device can run? cudaErrorNoKernelImageForDevice if it was built for
/// others.
cudaError_t find_kernels();

/// Makes the context's GPU the current one of the calling thread. Streams, events and the libraries' handles belong to
/// a GPU, and CUDA refuses them while another is current: whoever launches, records or asks a library does this first.
inline void use_device(const CudaContext& ctx) {
  PSANET_CUDA_CHECK(cudaSetDevice(ctx.device));
}

/// Scratch memory for `count` values of T; throws std::logic_error if there is not that much (a kernel must size its
/// grid by it).
template <class T>
T* scratch(CudaContext& ctx, int64_t count) {
  if (count * static_cast<int64_t>(sizeof(T)) > ctx.runtime->scratch_bytes) {
    throw std::logic_error("a CUDA kernel wants " + std::to_string(count * static_cast<int64_t>(sizeof(T))) +
                           " bytes of scratch memory, the context has " + std::to_string(ctx.runtime->scratch_bytes));
  }
  return static_cast<T*>(ctx.runtime->scratch);
}

/// DeviceError, naming the GPU, unless one of its blocks can have so much shared memory.
void require_shared_memory(const CudaContext& ctx, int64_t bytes);

/// Blocks along each axis.
struct Grid {
  int64_t x = 1, y = 1, z = 1;
};
struct LaunchDims {
  Grid grid;
  int64_t threads = 1;       // of a block
  int64_t shared_bytes = 0;  // dynamic
};

/// launch(ctx, kernel, {grid, threads}, arguments...): every argument is converted to the kernel's own parameter type.
template <class... P, class... A>
void launch(CudaContext& ctx, void (*kernel)(P...), const LaunchDims& dims, A&&... arguments) {
  static_assert(sizeof...(P) == sizeof...(A), "as many arguments as the kernel has parameters");
  use_device(ctx);
  const auto shared_bytes = static_cast<size_t>(dims.shared_bytes);
  const dim3 grid(static_cast<unsigned>(dims.grid.x), static_cast<unsigned>(dims.grid.y),
                  static_cast<unsigned>(dims.grid.z));
  const dim3 block(static_cast<unsigned>(dims.threads));
  // Beyond 48 KiB, static and dynamic together, a kernel must ask. What is static we do not know here, so all ask.
  if (shared_bytes > 0) {
    require_shared_memory(ctx, dims.shared_bytes);
    PSANET_CUDA_CHECK(
        cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared_bytes)));
  }
#ifdef PSANET_CUDA_EMULATED
  cuda_emulator::launch(kernel, grid, block, shared_bytes, ctx.runtime->stream, std::forward<A>(arguments)...);
#else
  std::tuple<std::remove_const_t<P>...> values(static_cast<P>(arguments)...);
  std::apply(
      [&](auto&... value) {
        void* pointers[] = {static_cast<void*>(&value)..., nullptr};
        PSANET_CUDA_CHECK(cudaLaunchKernel(reinterpret_cast<const void*>(kernel), grid, block, pointers, shared_bytes,
                                           ctx.runtime->stream));
      },
      values);
#endif
}

inline int64_t ceil_div(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

/// A grid for a loop `for (i = first; i < count; i += all threads)` over `count` items: enough blocks to fill the GPU.
inline LaunchDims loop_over(const CudaContext& ctx, int64_t count, int threads = 256) {
  const int64_t enough = int64_t{8} * ctx.runtime->multiprocessors * (1024 / threads > 2 ? 2 : 1);
  const int64_t blocks = std::clamp<int64_t>(ceil_div(count, threads), 1, enough);
  return {{blocks}, threads};
}

inline bool is_aligned(const void* p, int64_t bytes) {
  return reinterpret_cast<uintptr_t>(p) % static_cast<uintptr_t>(bytes) == 0;
}

}  // namespace psanet::kernels::cuda
