// The CUDA runtime, or its stand-in. Kernel files are compiled by nvcc for a GPU, and by the host compiler for the
// emulation that tests run (docs/cuda-emulation.md): what differs between the two is here and in device.h alone.
#pragma once

#ifdef PSANET_CUDA_EMULATED

#include PSANET_CUDA_EMULATED  // the emulated build says where the stand-in for the CUDA runtime is

#define PSANET_SHARED(T, name, dims) auto& name = ::cuda_emulator::shared<T dims>([] {})
#define PSANET_DYNAMIC_SHARED(T, name) T* name = static_cast<T*>(::cuda_emulator::dynamic_shared())
#define PSANET_REQUIRE_ALIGNED(p, bytes) ::cuda_emulator::require_aligned(p, bytes)
#define PSANET_UNROLL

#else

#include <cuda_runtime.h>

/// PSANET_SHARED(float, tile, [16][17]): a shared array, aligned to the widest access.
#define PSANET_SHARED(T, name, dims) __shared__ __align__(16) T name dims
/// PSANET_DYNAMIC_SHARED(float, tile): the launch's dynamic shared memory.
#define PSANET_DYNAMIC_SHARED(T, name)                             \
  extern __shared__ __align__(128) unsigned char psanet_shared_[]; \
  T* name = reinterpret_cast<T*>(psanet_shared_)
/// A GPU stops the program at a wide access that is not aligned; a debug build stops in front of it.
#ifdef NDEBUG
#define PSANET_REQUIRE_ALIGNED(p, bytes) static_cast<void>(0)
#else
#define PSANET_REQUIRE_ALIGNED(p, bytes) \
  (reinterpret_cast<size_t>(p) % (bytes) == 0 ? static_cast<void>(0) : __trap())
#endif
#define PSANET_UNROLL _Pragma("unroll")

#endif
