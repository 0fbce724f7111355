// Softmax, a group of threads for a row: 8 threads for the shortest rows, a warp, or a block. Forward and backward each
// walk a row twice: first for the sums, then for the result. A row is at most some tens of KiB, so the second walk
// finds it in the cache, memory is read once, and no length is too long. A thread reads again, and then overwrites,
// exactly the values that it read in the first walk: results may take their input's place.
#include <limits>
#include <type_traits>

#include "kernels/cuda/device.h"
#include "kernels/cuda/runtime.h"
#include "kernels/softmax.h"

namespace psanet::kernels {

namespace cuda {
namespace {

constexpr int kThreads = 256;
/// Loads under way for each thread.
constexpr int kAhead = 4;

/// The largest value so far and the sum of exp(x - top) over the values so far. Merging a with b gives the same bits as
/// merging b with a. __expf is good to two units in the last place and one more for each unit of its argument: where it
/// is worse than that of the library its result is next to nothing.
struct SoftmaxSum {
  float top = std::numeric_limits<float>::lowest();
  float sum = 0;

  __device__ __forceinline__ void merge(float other_top, float other_sum) {
    const bool higher = other_top > top;
    const float shrink = __expf(higher ? top - other_top : other_top - top);
    sum = higher ? sum * shrink + other_sum : other_sum * shrink + sum;
    top = higher ? other_top : top;
  }
};

/// Merges the values of a group's lanes (of a warp's, if the group is larger): the same bits in every lane.
template <int kGroup>
__device__ __forceinline__ void merge_lanes(SoftmaxSum& s) {
  constexpr int kLanes = kGroup < kWarp ? kGroup : kWarp;
  for (int by = kLanes / 2; by > 0; by /= 2) {
    const float top = __shfl_xor_sync(kAllLanes, s.top, by), sum = __shfl_xor_sync(kAllLanes, s.sum, by);
    s.merge(top, sum);
  }
}
template <int kGroup>
__device__ __forceinline__ void merge_lanes(float& s) {
  constexpr int kLanes = kGroup < kWarp ? kGroup : kWarp;
  for (int by = kLanes / 2; by > 0; by /= 2) s += __shfl_xor_sync(kAllLanes, s, by);
}
__device__ __forceinline__ void merge(SoftmaxSum& s, const SoftmaxSum& other) {
  s.merge(other.top, other.sum);
}
__device__ __forceinline__ void merge(float& s, float other) {
  s += other;
}

/// The group's result from those of its threads, in every one of them. All threads of the block must come here.
template <int kGroup, class Value>
__device__ __forceinline__ void merge_group(Value& value) {
  merge_lanes<kGroup>(value);
  if constexpr (kGroup > kWarp) {
    static_assert(kGroup == kThreads);
    PSANET_SHARED(float, of_warp, [kThreads / kWarp][sizeof(Value) / sizeof(float)]);
    auto* values = reinterpret_cast<Value*>(&of_warp[0][0]);
    if (threadIdx.x % kWarp == 0) values[threadIdx.x / kWarp] = value;
    __syncthreads();
    value = values[0];
    for (int warp = 1; warp < kThreads / kWarp; ++warp) merge(value, values[warp]);
  }
}

/// use(values of the pack...) for the thread's packs of a row, kAhead packs of each array loaded before they are used.
template <int kGroup, int kN, class T, class Use, class... In>
__device__ __forceinline__ void walk_row(int64_t columns, const Use& use, const T* first, const In*... others) {
  const int64_t packs = columns / kN;
  const int64_t begin = threadIdx.x % kGroup;
  for (int64_t p = begin; p < packs; p += kAhead * kGroup) {
    struct Values {
      Pack<T, kN> v[1 + sizeof...(In)];
    } values[kAhead];
    PSANET_UNROLL
    for (int j = 0; j < kAhead; ++j) {
      const int64_t at = (p + j * kGroup) * kN;
      if (p + j * kGroup < packs) values[j] = {{load<kN>(first + at), load<kN>(others + at)...}};
    }
    PSANET_UNROLL
    for (int j = 0; j < kAhead; ++j) {
      if (p + j * kGroup < packs) use((p + j * kGroup) * kN, values[j].v);
    }
  }
}

/// grid: blocks of kThreads / kGroup rows.
template <class T, int kGroup, int kN>
__global__ void __launch_bounds__(kThreads) forward_kernel(int64_t rows, int64_t columns, const T* x, T* y) {
  const int64_t row = static_cast<int64_t>(blockIdx.x) * (kThreads / kGroup) + threadIdx.x / kGroup;
  const int64_t length = row < rows ? columns : 0;  // threads without a row come along to the merging
  const T* from = x + row * length;
  T* to = y + row * length;

  SoftmaxSum total;
  walk_row<kGroup, kN>(
      length,
      [&](int64_t, const Pack<T, kN>* in) {
        float top = total.top, sum = 0;
        PSANET_UNROLL
        for (int i = 0; i < kN; ++i) top = as_float(in->v[i]) > top ? as_float(in->v[i]) : top;
        PSANET_UNROLL
        for (int i = 0; i < kN; ++i) sum += __expf(as_float(in->v[i]) - top);
        total.sum = total.sum * __expf(total.top - top) + sum;
        total.top = top;
      },
      from);
  merge_group<kGroup>(total);

  const float factor = 1.0f / total.sum;
  walk_row<kGroup, kN>(
      length,
      [&](int64_t at, const Pack<T, kN>* in) {
        Pack<T, kN> out;
        PSANET_UNROLL
        for (int i = 0; i < kN; ++i) out.v[i] = rounded<T>(__expf(as_float(in->v[i]) - total.top) * factor);
        store(to + at, out);
      },
      from);
}

/// grid: blocks of kThreads / kGroup rows.
template <class T, int kGroup, int kN>
__global__ void __launch_bounds__(kThreads)
    backward_kernel(int64_t rows, int64_t columns, const T* y, const T* d_y, T* d_x) {
  const int64_t row = static_cast<int64_t>(blockIdx.x) * (kThreads / kGroup) + threadIdx.x / kGroup;
  const int64_t length = row < rows ? columns : 0;  // threads without a row come along to the merging
  const T *out = y + row * length, *gradient = d_y + row * length;
  T* to = d_x + row * length;

  float dot = 0;
  walk_row<kGroup, kN>(
      length,
      [&](int64_t, const Pack<T, kN>* in) {
        PSANET_UNROLL
        for (int i = 0; i < kN; ++i) dot += as_float(in[0].v[i]) * as_float(in[1].v[i]);
      },
      out, gradient);
  merge_group<kGroup>(dot);

  walk_row<kGroup, kN>(
      length,
      [&](int64_t at, const Pack<T, kN>* in) {
        Pack<T, kN> result;
        PSANET_UNROLL
        for (int i = 0; i < kN; ++i) {
          result.v[i] = rounded<T>(as_float(in[0].v[i]) * (as_float(in[1].v[i]) - dot));
        }
        store(to + at, result);
      },
      out, gradient);
}

/// run(std::integral_constant group, std::integral_constant values of a pack) for rows of that length.
template <class T, class Run>
void with_group(int64_t columns, const Run& run) {
  constexpr std::integral_constant<int, 1> kOne;
  constexpr std::integral_constant<int, kVector<T>> kWide;
  constexpr std::integral_constant<int, kWarp> kOneWarp;
  constexpr std::integral_constant<int, kThreads> kOneBlock;
  const bool wide = columns % kVector<T> == 0;
  if (columns <= 32) {
    run(std::integral_constant<int, 8>{}, kOne);
  } else if (columns <= 1024) {
    wide ? run(kOneWarp, kWide) : run(kOneWarp, kOne);
  } else {
    wide ? run(kOneBlock, kWide) : run(kOneBlock, kOne);
  }
}

LaunchDims rows_in_groups(int64_t rows, int group) {
  return {{ceil_div(rows, kThreads / group)}, kThreads};
}

}  // namespace
}  // namespace cuda

template <class T>
void softmax_forward(CudaContext& ctx, const SoftmaxDims& dims, const T* x, T* y) {
  using namespace cuda;
  if (dims.rows * dims.columns == 0) return;
  with_group<T>(dims.columns, [&](auto group, auto values) {
    launch(ctx, forward_kernel<T, group(), values()>, rows_in_groups(dims.rows, group), dims.rows, dims.columns, x, y);
  });
}

template <class T>
void softmax_backward(CudaContext& ctx, const SoftmaxDims& dims, const T* y, const T* d_y, T* d_x) {
  using namespace cuda;
  if (dims.rows * dims.columns == 0) return;
  with_group<T>(dims.columns, [&](auto group, auto values) {
    launch(ctx, backward_kernel<T, group(), values()>, rows_in_groups(dims.rows, group), dims.rows, dims.columns, y,
           d_y, d_x);
  });
}

#define PSANET_INSTANTIATE(T)                                                    \
  template void softmax_forward(CudaContext&, const SoftmaxDims&, const T*, T*); \
  template void softmax_backward(CudaContext&, const SoftmaxDims&, const T*, const T*, T*);
PSANET_INSTANTIATE(float)
PSANET_INSTANTIATE(bf16)
#undef PSANET_INSTANTIATE

}  // namespace psanet::kernels
