// Runs CUDA kernels on the processor, compiled by the host compiler (docs/cuda-emulation.md). One block at a time;
// every CUDA thread is a fiber; threads switch only at barriers, at warp operations and at exit. What kernel files see
// of it is what kernels/cuda/portable.h names.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <tuple>
#include <type_traits>
#include <vector>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)

struct uint3 {
  unsigned x, y, z;
};
struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned a = 1, unsigned b = 1, unsigned c = 1) : x(a), y(b), z(c) {}
};

namespace cuda_emulator {

/// The order in which runnable threads and blocks go.
enum class Order { forward, reverse, random };
void set_order(Order order, uint64_t seed = 1);

struct Coordinates {
  dim3 grid, block;
  uint3 block_index, thread_index;
};
extern Coordinates coordinates;  // of the running thread; the scheduler rewrites it at every switch

/// Runs body once for every thread of the grid. A mistake that the scheduler sees (a barrier that not all threads
/// reach, a shuffle from a lane outside its mask, a misaligned vector access, ...) ends the process with status 66 and
/// a report.
void run_grid(dim3 grid, dim3 block, size_t shared_bytes, const std::function<void()>& body, const char* name);
[[noreturn]] void fail(const char* what);

unsigned lane();
void block_barrier(int line);
/// The same address for every thread of the block; filled with NaN in every block.
void* shared_variable(const void* key, size_t bytes, size_t alignment);
void* dynamic_shared();

uint64_t warp_shuffle(uint32_t mask, uint64_t mine, int source_lane, int line);
uint32_t warp_ballot(uint32_t mask, bool predicate, int line);
void warp_barrier(uint32_t mask, int line);
/// Every lane's 64 bits, in lane order; a barrier for memory too.
void warp_gather(uint64_t mine, int line, uint64_t* all32);

inline void require_aligned(const void* p, size_t bytes) {
  if (reinterpret_cast<uintptr_t>(p) % bytes != 0) fail("misaligned vector access");
}

/// cp.async: the data arrives when the thread waits for it, never earlier; until then there is NaN.
struct PendingCopy {
  void* to;
  const void* from;
  size_t bytes, read;  // behind what is read: zeros
  int group;
};
void queue_copy(void* to, const void* from, size_t bytes, size_t read);
inline void copy_async(void* to, const void* from, size_t bytes, size_t read) {
  require_aligned(to, bytes);
  require_aligned(from, bytes);
  if (read > bytes) fail("an asynchronous copy of more than its size");
  // The hardware may write from now on: who still reads what was there sees NaN, and the race detector sees a write.
  for (size_t i = 0; i < bytes; ++i) static_cast<unsigned char*>(to)[i] = 0xff;
  queue_copy(to, from, bytes, read);
}
inline void copy_async(void* to, const void* from, size_t bytes) {
  copy_async(to, from, bytes, bytes);
}
void copy_async_commit();
std::vector<PendingCopy> take_due_copies(int groups_left);
inline void copy_async_wait(int groups_left) {  // here, so that the kernel's sanitizer sees the copy
  for (const PendingCopy& c : take_due_copies(groups_left)) {
    for (size_t i = 0; i < c.bytes; ++i) {
      static_cast<char*>(c.to)[i] = i < c.read ? static_cast<const char*>(c.from)[i] : char{0};
    }
  }
}

/// Tag: one lambda type for each declaration and template instance.
template <class T, class Tag>
T& shared(Tag) {
  static const char key = 0;
  return *static_cast<T*>(shared_variable(&key, sizeof(T), alignof(T) < 16 ? 16 : alignof(T)));
}

template <class T, class Source>
T shuffle(uint32_t mask, T x, int line, Source source) {
  static_assert(sizeof(T) <= 8);
  uint64_t bits = 0;
  std::memcpy(&bits, &x, sizeof x);
  const int own = static_cast<int>(lane()), from = source(own);  // from outside the warp: the lane's own value
  bits = warp_shuffle(mask, bits, from < 0 || from > 31 ? own : from, line);
  std::memcpy(&x, &bits, sizeof x);
  return x;
}

template <class T, class F>
T atomic_update(T* p, F f) {
  using Bits = std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>;
  static_assert(sizeof(T) == sizeof(Bits));
  auto* word = reinterpret_cast<Bits*>(p);
  Bits old = __atomic_load_n(word, __ATOMIC_RELAXED), next;
  T before;
  do {
    std::memcpy(&before, &old, sizeof before);
    const T after = f(before);
    std::memcpy(&next, &after, sizeof next);
  } while (!__atomic_compare_exchange_n(word, &old, next, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
  return before;
}

}  // namespace cuda_emulator

#define threadIdx (::cuda_emulator::coordinates.thread_index)
#define blockIdx (::cuda_emulator::coordinates.block_index)
#define blockDim (::cuda_emulator::coordinates.block)
#define gridDim (::cuda_emulator::coordinates.grid)
#define __syncthreads() ::cuda_emulator::block_barrier(__LINE__)
#define __syncwarp(...) ::cuda_emulator::warp_barrier(~0u __VA_OPT__(&) __VA_ARGS__, __LINE__)
#define __shfl_xor_sync(mask, v, by) \
  ::cuda_emulator::shuffle(mask, v, __LINE__, [&](int own_) { return own_ ^ static_cast<int>(by); })
#define __shfl_down_sync(mask, v, by) \
  ::cuda_emulator::shuffle(mask, v, __LINE__, [&](int own_) { return own_ + static_cast<int>(by); })
#define __shfl_up_sync(mask, v, by) \
  ::cuda_emulator::shuffle(mask, v, __LINE__, [&](int own_) { return own_ - static_cast<int>(by); })
#define __shfl_sync(mask, v, from) \
  ::cuda_emulator::shuffle(mask, v, __LINE__, [&](int) { return static_cast<int>(from) & 31; })
#define __ballot_sync(mask, p) ::cuda_emulator::warp_ballot(mask, (p) != 0, __LINE__)
#define __any_sync(mask, p) (::cuda_emulator::warp_ballot(mask, (p) != 0, __LINE__) != 0)

template <class T>
T atomicAdd(T* p, T v) {
  return cuda_emulator::atomic_update(p, [=](T old) { return static_cast<T>(old + v); });
}
template <class T>
T atomicMin(T* p, T v) {
  return cuda_emulator::atomic_update(p, [=](T old) { return v < old ? v : old; });
}
template <class T>
T atomicMax(T* p, T v) {
  return cuda_emulator::atomic_update(p, [=](T old) { return old < v ? v : old; });
}
template <class T>
T __ldg(const T* p) {
  return *p;
}
inline float __expf(float x) {
  return std::exp(x);
}
inline float __logf(float x) {
  return std::log(x);
}
inline float rsqrtf(float x) {
  return 1.0f / std::sqrt(x);
}
inline float __fdividef(float a, float b) {
  return a / b;
}
inline float __fmul_rn(float a, float b) {
  return a * b;
}
inline float __fadd_rn(float a, float b) {
  return a + b;
}
inline float __uint_as_float(unsigned bits) {
  float x;
  std::memcpy(&x, &bits, 4);
  return x;
}
inline unsigned __float_as_uint(float x) {
  unsigned bits;
  std::memcpy(&bits, &x, 4);
  return bits;
}
inline int __popc(unsigned x) {
  return __builtin_popcount(x);
}
inline int __ffs(int x) {
  return __builtin_ffs(x);
}
inline unsigned __umulhi(unsigned a, unsigned b) {
  return static_cast<unsigned>((static_cast<uint64_t>(a) * b) >> 32);
}
