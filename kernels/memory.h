// Device memory: raw bytes, no ownership (engine/storage.h owns).
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/context.h"

namespace psanet::kernels {

/// Every allocation and every tensor in the arena starts at a multiple of this.
inline constexpr int64_t kAlignment_bytes = 64;

/// 64-byte aligned device memory; throws DeviceError when there is none left. bytes may be 0.
void* allocate(CpuContext& ctx, int64_t bytes);
void release(CpuContext& ctx, void* memory) noexcept;

void fill_zero(CpuContext& ctx, void* memory, int64_t bytes);
void copy_on_device(CpuContext& ctx, void* to, const void* from, int64_t bytes);
void copy_to_device(CpuContext& ctx, void* to, const void* from_host, int64_t bytes);
void copy_to_host(CpuContext& ctx, void* to_host, const void* from, int64_t bytes);

/// Waits until everything launched on the context is done.
void synchronize(CpuContext& ctx);

/// Index of the first value that is NaN or infinite, or -1. x [elements]
int64_t first_non_finite(CpuContext& ctx, int64_t elements, const float* x);

}  // namespace psanet::kernels
