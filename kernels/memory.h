// Device memory: raw bytes, no ownership (engine/storage.h owns).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "kernels/context.h"

namespace psanet::kernels {

/// Every allocation and every tensor in the arena starts at a multiple of this: what cuBLASLt wants of a workspace, and
/// a multiple of what everybody else wants.
inline constexpr int64_t kAlignment_bytes = 256;
/// Rounded up, so that what lies behind so many bytes is aligned too.
constexpr int64_t aligned(int64_t bytes) {
  return (bytes + kAlignment_bytes - 1) / kAlignment_bytes * kAlignment_bytes;
}

/// kAlignment_bytes aligned device memory; throws DeviceError when there is none left. bytes may be 0.
void* allocate(CpuContext& ctx, int64_t bytes);
void* allocate(CudaContext& ctx, int64_t bytes);
/// What allocate takes of main memory for so many bytes: whole huge pages if it is large.
int64_t allocated_bytes(int64_t bytes);
void release(CpuContext& ctx, void* memory) noexcept;
void release(CudaContext& ctx, void* memory) noexcept;

void fill_zero(CpuContext& ctx, void* memory, int64_t bytes);
void copy_on_device(CpuContext& ctx, void* to, const void* from, int64_t bytes);
void copy_to_device(CpuContext& ctx, void* to, const void* from_host, int64_t bytes);
void copy_to_host(CpuContext& ctx, void* to_host, const void* from, int64_t bytes);

void fill_zero(CudaContext& ctx, void* memory, int64_t bytes);
void copy_on_device(CudaContext& ctx, void* to, const void* from, int64_t bytes);
/// from_host may be changed as soon as this returns; work launched before it may still be running.
void copy_to_device(CudaContext& ctx, void* to, const void* from_host, int64_t bytes);
/// Waits for everything launched before it.
void copy_to_host(CudaContext& ctx, void* to_host, const void* from, int64_t bytes);

/// The same bytes of the device again and again, without waiting for what is launched behind a request.
class Readback {
 public:
  virtual ~Readback() = default;
  /// Asks for the bytes as they are when everything launched so far is done.
  virtual void request() = 0;
  /// The bytes of the last request, once they are there; valid until the next request.
  virtual const void* wait() = 0;
};
std::unique_ptr<Readback> make_readback(CpuContext& ctx, const void* from, int64_t bytes);
std::unique_ptr<Readback> make_readback(CudaContext& ctx, const void* from, int64_t bytes);

/// Moments in a context's work, for looking at what runs when.
class Marks {
 public:
  virtual ~Marks() = default;
  /// The moment at which everything launched so far is done. Costs no waiting; at most the number asked for.
  virtual void mark() = 0;
  /// Of every mark, in seconds behind the first. Waits for the last.
  virtual std::vector<double> seconds() = 0;
};
std::unique_ptr<Marks> make_marks(CpuContext& ctx, int64_t most);
std::unique_ptr<Marks> make_marks(CudaContext& ctx, int64_t most);

/// Waits until everything launched on the context is done.
void synchronize(CpuContext& ctx);
void synchronize(CudaContext& ctx);

/// Index of the first value that is NaN or infinite, or -1. x [elements]
int64_t first_non_finite(CpuContext& ctx, int64_t elements, const float* x);
template <class T>
int64_t first_non_finite(CudaContext& ctx, int64_t elements, const T* x);

/// Everything that was launched on a context between begin_recording() and end_recording(), to be launched again as one
/// (a CUDA graph).
class Recording {
 public:
  virtual ~Recording() = default;
  virtual void replay() = 0;
  /// Kernels, copies and clears in it.
  virtual int64_t launches() const = 0;
};
/// False, and nothing is begun, where a backend has no such thing.
bool begin_recording(CpuContext& ctx);
bool begin_recording(CudaContext& ctx);
/// Launches in the recording so far; only between begin_recording() and end_recording(). Throws DeviceError.
int64_t launches_recorded(CpuContext& ctx);
int64_t launches_recorded(CudaContext& ctx);
/// Ends it after an error.
void abandon_recording(CpuContext& ctx) noexcept;
void abandon_recording(CudaContext& ctx) noexcept;
/// DeviceError if something in it cannot be recorded; then nothing of it has run.
std::unique_ptr<Recording> end_recording(CpuContext& ctx);
std::unique_ptr<Recording> end_recording(CudaContext& ctx);

}  // namespace psanet::kernels
