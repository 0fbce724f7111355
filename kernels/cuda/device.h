// What kernels are written with: stored and computed values, wide accesses, asynchronous copies, warp operations, the
// warp matrix product. For .cu files only.
#pragma once

#include <cstdint>
#include <type_traits>

#include "kernels/bf16.h"
#include "kernels/cuda/portable.h"

namespace psanet::kernels::cuda {

inline constexpr int kWarp = 32;
inline constexpr unsigned kAllLanes = 0xffffffffu;

__device__ __forceinline__ float as_float(float x) {
  return x;
}
__device__ __forceinline__ float as_float(bf16 x) {
  return __uint_as_float(static_cast<unsigned>(x.bits) << 16);
}

/// Exponent all ones; a bf16 keeps its exponent as a float.
__device__ __forceinline__ bool is_non_finite(float x) {
  return (__float_as_uint(x) & 0x7f800000u) == 0x7f800000u;
}

/// The value as it is stored: rounded to nearest even.
template <class T>
__device__ __forceinline__ T rounded(float x);
template <>
__device__ __forceinline__ float rounded<float>(float x) {
  return x;
}
template <>
__device__ __forceinline__ bf16 rounded<bf16>(float x) {
#ifdef PSANET_CUDA_EMULATED
  return to_bf16(x);
#else
  bf16 y;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(y.bits) : "f"(x));
  return y;
#endif
}

/// Two bf16 in a register, the first in the lower half.
__device__ __forceinline__ uint32_t pack(bf16 low, bf16 high) {
  return static_cast<uint32_t>(low.bits) | static_cast<uint32_t>(high.bits) << 16;
}

/// N values that are loaded and stored at once; N * sizeof(T) bytes, at most 16, aligned to as many.
template <class T, int N>
struct alignas(sizeof(T) * N) Pack {
  T v[N];
};

template <int N, class T>
__device__ __forceinline__ Pack<T, N> load(const T* p) {
  PSANET_REQUIRE_ALIGNED(p, sizeof(T) * N);
  return *reinterpret_cast<const Pack<T, N>*>(p);
}
template <int N, class T>
__device__ __forceinline__ void store(T* p, const Pack<T, N>& values) {
  PSANET_REQUIRE_ALIGNED(p, sizeof(T) * N);
  *reinterpret_cast<Pack<T, N>*>(p) = values;
}

/// The widest access of T: 16 bytes.
template <class T>
inline constexpr int kVector = 16 / static_cast<int>(sizeof(T));

/// f(how many values a pack has, a compile-time number): kN of them, or single values.
template <int kN, class F>
void with_packs(bool wide, const F& f) {
  if (wide) {
    f(std::integral_constant<int, kN>{});
  } else {
    f(std::integral_constant<int, 1>{});
  }
}

/// sums += values
template <class T, int kN>
__device__ __forceinline__ void accumulate(float (&sums)[kN], const Pack<T, kN>& values) {
  PSANET_UNROLL
  for (int i = 0; i < kN; ++i) sums[i] += as_float(values.v[i]);
}
/// sums += weight * values
template <class T, int kN>
__device__ __forceinline__ void accumulate(float (&sums)[kN], float weight, const Pack<T, kN>& values) {
  PSANET_UNROLL
  for (int i = 0; i < kN; ++i) sums[i] += weight * as_float(values.v[i]);
}
template <class T, int kN>
__device__ __forceinline__ void store_rounded(T* p, const float (&values)[kN]) {
  Pack<T, kN> result;
  PSANET_UNROLL
  for (int i = 0; i < kN; ++i) result.v[i] = rounded<T>(values[i]);
  store<kN>(p, result);
}

/// Copies 16 bytes from global to shared memory without passing through registers; both 16-byte aligned. Visible after
/// copy_async_wait by the same thread, and to others after the barrier behind that.
__device__ __forceinline__ void copy_async_16(void* shared, const void* global) {
#ifdef PSANET_CUDA_EMULATED
  cuda_emulator::copy_async(shared, global, 16);
#else
  const auto to = static_cast<unsigned>(__cvta_generic_to_shared(shared));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;\n" ::"r"(to), "l"(global) : "memory");
#endif
}
/// The same in units of kBytes (4 or 16, of which the addresses are multiples), of which the first `bytes` are copied
/// and the others become zeros; with none, nothing is read.
template <int kBytes>
__device__ __forceinline__ void copy_async_or_zero(void* shared, const void* global, int bytes) {
  static_assert(kBytes == 4 || kBytes == 16);
#ifdef PSANET_CUDA_EMULATED
  cuda_emulator::copy_async(shared, global, kBytes, static_cast<size_t>(bytes));
#else
  const auto to = static_cast<unsigned>(__cvta_generic_to_shared(shared));
  if constexpr (kBytes == 16) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;\n" ::"r"(to), "l"(global), "r"(bytes) : "memory");
  } else {
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;\n" ::"r"(to), "l"(global), "r"(bytes) : "memory");
  }
#endif
}
/// Ends a group of copies.
__device__ __forceinline__ void copy_async_commit() {
#ifdef PSANET_CUDA_EMULATED
  cuda_emulator::copy_async_commit();
#else
  asm volatile("cp.async.commit_group;\n" ::: "memory");
#endif
}
/// Waits until at most kGroups of this thread's groups are still under way.
template <int kGroups>
__device__ __forceinline__ void copy_async_wait() {
#ifdef PSANET_CUDA_EMULATED
  cuda_emulator::copy_async_wait(kGroups);
#else
  asm volatile("cp.async.wait_group %0;\n" ::"n"(kGroups) : "memory");
#endif
}

// The warp matrix product d [16,8] += a [16,16] b [16,8], bf16 with float accumulators (PTX ISA, mma.m16n8k16). With
// g = lane / 4 and t = lane % 4 a lane holds
//   a[0..3]: (row g | g+8 | g | g+8, columns 2t, 2t+1 | same | 2t+8, 2t+9 | same)
//   b[0..1]: (rows 2t, 2t+1 | 2t+8, 2t+9, column g)
//   d[0..3]: (row g, columns 2t, 2t+1), (row g+8, columns 2t, 2t+1)
// b is the layout of a row-major [8,16] matrix of which b is the transpose.
__device__ __forceinline__ void multiply_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
#ifdef PSANET_CUDA_EMULATED
  const struct Operands { const uint32_t *a, *b; } mine{a, b};
  uint64_t lanes[32];
  cuda_emulator::warp_gather(reinterpret_cast<uint64_t>(&mine), __LINE__, lanes);
  const unsigned g = cuda_emulator::lane() / 4, t = cuda_emulator::lane() % 4;
  float rows[2][16], columns[2][16];  // of a and b: what this lane's four results need
  for (unsigned i = 0; i < 2; ++i) {
    for (unsigned k = 0; k < 16; k += 2) {
      const uint32_t left = reinterpret_cast<const Operands*>(lanes[g * 4 + k % 8 / 2])->a[i + 2 * (k / 8)];
      const uint32_t right = reinterpret_cast<const Operands*>(lanes[(2 * t + i) * 4 + k % 8 / 2])->b[k / 8];
      rows[i][k] = __uint_as_float(left << 16);
      rows[i][k + 1] = __uint_as_float(left & 0xffff0000u);
      columns[i][k] = __uint_as_float(right << 16);
      columns[i][k + 1] = __uint_as_float(right & 0xffff0000u);
    }
  }
  cuda_emulator::warp_barrier(kAllLanes, __LINE__);
  for (unsigned i = 0; i < 4; ++i) {
    for (unsigned k = 0; k < 16; ++k) d[i] += rows[i / 2][k] * columns[i % 2][k];
  }
#else
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};\n"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#endif
}

// Four 8x8 matrices of bf16 from shared memory: lane l gives the address of row l % 8 of matrix l / 8 (16 bytes,
// aligned) and gets of matrix i the elements (row l / 4, columns 2 (l % 4), + 1) in r[i].
__device__ __forceinline__ void load_matrices(uint32_t (&r)[4], const bf16* row) {
#ifdef PSANET_CUDA_EMULATED
  PSANET_REQUIRE_ALIGNED(row, 16);
  uint64_t rows[32];
  cuda_emulator::warp_gather(reinterpret_cast<uint64_t>(row), __LINE__, rows);
  const unsigned l = cuda_emulator::lane();
  for (unsigned i = 0; i < 4; ++i) {
    const auto* from = reinterpret_cast<const bf16*>(rows[8 * i + l / 4]) + 2 * (l % 4);
    r[i] = pack(from[0], from[1]);
  }
  cuda_emulator::warp_barrier(kAllLanes, __LINE__);
#else
  const auto at = static_cast<unsigned>(__cvta_generic_to_shared(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];\n"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(at)
               : "memory");
#endif
}
/// The same with every matrix transposed: elements (rows 2 (l % 4), + 1, column l / 4).
__device__ __forceinline__ void load_matrices_transposed(uint32_t (&r)[4], const bf16* row) {
#ifdef PSANET_CUDA_EMULATED
  PSANET_REQUIRE_ALIGNED(row, 16);
  uint64_t rows[32];
  cuda_emulator::warp_gather(reinterpret_cast<uint64_t>(row), __LINE__, rows);
  const unsigned l = cuda_emulator::lane();
  for (unsigned i = 0; i < 4; ++i) {
    const auto* first = reinterpret_cast<const bf16*>(rows[8 * i + 2 * (l % 4)]);
    const auto* second = reinterpret_cast<const bf16*>(rows[8 * i + 2 * (l % 4) + 1]);
    r[i] = pack(first[l / 4], second[l / 4]);
  }
  cuda_emulator::warp_barrier(kAllLanes, __LINE__);
#else
  const auto at = static_cast<unsigned>(__cvta_generic_to_shared(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];\n"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(at)
               : "memory");
#endif
}

/// 2^x in one instruction (relative error 2^-22; results below 2^-126 are 0).
__device__ __forceinline__ float exp2_fast(float x) {
#ifdef PSANET_CUDA_EMULATED
  return std::exp2(x);
#else
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
#endif
}

/// Sum over the warp, the same bits in every lane.
__device__ __forceinline__ float warp_sum(float x) {
  for (int by = kWarp / 2; by > 0; by /= 2) x += __shfl_xor_sync(kAllLanes, x, by);
  return x;
}
__device__ __forceinline__ float warp_max(float x) {
  for (int by = kWarp / 2; by > 0; by /= 2) {
    const float other = __shfl_xor_sync(kAllLanes, x, by);
    x = x > other ? x : other;
  }
  return x;
}

}  // namespace psanet::kernels::cuda
