#include "kernels/cuda/device.h"
#include "kernels/cuda/runtime.h"
#include "kernels/loss.h"

namespace psanet::kernels {

namespace cuda {
namespace {

// Integers: the order of atomic additions does not matter. Neighbouring pixels mostly fall into one entry, so a thread
// takes neighbours and adds a run of equal ones at once; a block counts in shared memory where the table fits.

constexpr int kThreads = 256;
constexpr int64_t kMostShared = 96 << 10;  // two blocks on a multiprocessor

/// table: shared [classes^2] or, if `in_shared` is false, unused.
template <int kPixels>  // of a thread at a time
__global__ void __launch_bounds__(kThreads)
    confusion_counts_kernel(int64_t pixels, int classes, int ignore, bool in_shared, const uint8_t* prediction,
                            const uint8_t* truth, unsigned long long* counts) {
  PSANET_DYNAMIC_SHARED(unsigned, table);
  const int entries = classes * classes;
  if (in_shared) {
    for (int i = static_cast<int>(threadIdx.x); i < entries; i += kThreads) table[i] = 0;
    __syncthreads();
  }
  const auto add = [&](int entry, unsigned times) {
    if (in_shared) {
      atomicAdd(table + entry, times);
    } else {
      atomicAdd(counts + entry, static_cast<unsigned long long>(times));
    }
  };
  const int64_t step = static_cast<int64_t>(gridDim.x) * kThreads;
  for (int64_t p = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x; p < pixels / kPixels; p += step) {
    const Pack<uint8_t, kPixels> truths = load<kPixels>(truth + p * kPixels),
                                 predictions = load<kPixels>(prediction + p * kPixels);
    int entry = -1;  // of the run; -1: pixels that do not count
    unsigned times = 0;
    PSANET_UNROLL
    for (int i = 0; i < kPixels; ++i) {
      const int t = truths.v[i], guess = predictions.v[i];
      const int now = t == ignore || t >= classes || guess >= classes ? -1 : t * classes + guess;
      if (now != entry) {
        if (entry >= 0) add(entry, times);
        entry = now;
        times = 0;
      }
      ++times;
    }
    if (entry >= 0) add(entry, times);
  }
  if (!in_shared) return;
  __syncthreads();
  for (int i = static_cast<int>(threadIdx.x); i < entries; i += kThreads) {
    if (table[i] != 0) atomicAdd(counts + i, static_cast<unsigned long long>(table[i]));
  }
}

template <int kPixels>
void count(CudaContext& ctx, int64_t pixels, int64_t classes, int ignore, const uint8_t* prediction,
           const uint8_t* truth, int64_t* counts) {
  const int64_t table_bytes = classes * classes * static_cast<int64_t>(sizeof(unsigned));
  const bool in_shared = table_bytes <= kMostShared;
  LaunchDims dims = loop_over(ctx, pixels / kPixels, kThreads);
  // Every block clears and adds a whole table: no more blocks than run at a time.
  dims.grid.x = std::min<int64_t>(dims.grid.x, 2 * ctx.runtime->multiprocessors);
  dims.shared_bytes = in_shared ? table_bytes : 0;
  launch(ctx, confusion_counts_kernel<kPixels>, dims, pixels, classes, ignore, in_shared, prediction, truth,
         reinterpret_cast<unsigned long long*>(counts));
}

}  // namespace
}  // namespace cuda

void confusion_counts(CudaContext& ctx, int64_t pixels, int64_t classes, int ignore, const uint8_t* prediction,
                      const uint8_t* truth, int64_t* counts) {
  constexpr int kPixels = 16;
  const bool wide = cuda::is_aligned(prediction, kPixels) && cuda::is_aligned(truth, kPixels);
  const int64_t in_packs = wide ? pixels / kPixels * kPixels : 0;
  if (in_packs > 0) cuda::count<kPixels>(ctx, in_packs, classes, ignore, prediction, truth, counts);
  if (pixels > in_packs) {
    cuda::count<1>(ctx, pixels - in_packs, classes, ignore, prediction + in_packs, truth + in_packs, counts);
  }
}

}  // namespace psanet::kernels
