// SGD: a network has hundreds of tensors, most of them a few KiB: one kernel updates many of them, a block for each
// chunk of a tensor. Memory traffic is all there is: three reads and two writes (and the copy) for each parameter.
#include <limits>

#include "kernels/cuda/device.h"
#include "kernels/cuda/runtime.h"
#include "kernels/sgd.h"

namespace psanet::kernels {

namespace cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kPacksOfThread = 4;
constexpr int kChunk = kThreads * kPacksOfThread * kVector<float>;  // elements of a block
constexpr int kTensors = 64;                                        // of a launch

/// The tensors of a launch. They travel as a kernel argument, so the table needs no device memory, no copy that would
/// have to stay alive while a CUDA graph replays it, and is read through the constant cache; arguments are at most 4 KB
/// on every driver (32 KB came with CUDA 12.1), hence kTensors.
struct TensorTable {
  struct Tensor {
    float* parameter;
    float* momentum;
    const float* gradient;
    bf16* copy;  // may be null
    int64_t elements;
    float rate_factor, weight_decay;
  };
  Tensor tensor[kTensors];
  int first_chunk[kTensors];  // of each tensor, counted over the launch; unused tensors: INT_MAX
  uint64_t aligned;           // bit i: tensor i can be accessed 16 bytes at a time
};
static_assert(sizeof(TensorTable) <= 4096 - 64, "kernel arguments");

__device__ __forceinline__ void step(float& w, float& v, float g, float momentum, float decay, float rate) {
  v = momentum * v + (g + decay * w);
  w -= rate * v;
}

__global__ void __launch_bounds__(kThreads)
    sgd_kernel(const TensorTable table, float momentum, const float* learning_rate, const float* guard) {
  if (guard != nullptr && is_non_finite(*guard)) return;
  // The tensor of this chunk: the last one whose first chunk is not behind it.
  const int chunk = static_cast<int>(blockIdx.x);
  int t = 0;
  for (int half = kTensors / 2; half > 0; half /= 2) {
    if (table.first_chunk[t + half] <= chunk) t += half;
  }
  const int64_t begin = static_cast<int64_t>(chunk - table.first_chunk[t]) * kChunk;
  const int64_t elements = table.tensor[t].elements - begin;  // from here on
  float* w = table.tensor[t].parameter + begin;
  float* v = table.tensor[t].momentum + begin;
  const float* g = table.tensor[t].gradient + begin;
  bf16* copy = table.tensor[t].copy == nullptr ? nullptr : table.tensor[t].copy + begin;
  const float rate = *learning_rate * table.tensor[t].rate_factor, decay = table.tensor[t].weight_decay;
  const int thread = static_cast<int>(threadIdx.x);

  const int count = elements < kChunk ? static_cast<int>(elements) : kChunk;
  constexpr int kN = kVector<float>;
  const int packs = (table.aligned >> t & 1) != 0 ? count / kN : 0;
  Pack<float, kN> pw[kPacksOfThread], pv[kPacksOfThread], pg[kPacksOfThread];
  PSANET_UNROLL
  for (int j = 0; j < kPacksOfThread; ++j) {
    const int p = thread + j * kThreads;
    if (p < packs) {
      pw[j] = load<kN>(w + p * kN);
      pv[j] = load<kN>(v + p * kN);
      pg[j] = load<kN>(g + p * kN);
    }
  }
  PSANET_UNROLL
  for (int j = 0; j < kPacksOfThread; ++j) {
    const int p = thread + j * kThreads;
    if (p < packs) {
      Pack<bf16, kN> stored;
      PSANET_UNROLL
      for (int i = 0; i < kN; ++i) {
        step(pw[j].v[i], pv[j].v[i], pg[j].v[i], momentum, decay, rate);
        stored.v[i] = rounded<bf16>(pw[j].v[i]);
      }
      store(v + p * kN, pv[j]);
      store(w + p * kN, pw[j]);
      if (copy != nullptr) store(copy + p * kN, stored);
    }
  }
  // What is left of the last pack, or everything.
  for (int i = packs * kN + thread; i < count; i += kThreads) {
    float new_w = w[i], new_v = v[i];
    step(new_w, new_v, g[i], momentum, decay, rate);
    v[i] = new_v;
    w[i] = new_w;
    if (copy != nullptr) copy[i] = rounded<bf16>(new_w);
  }
}

/// Takes tensors from the front of the list, and launches the kernel for them. Returns how many it took.
size_t step_some(CudaContext& ctx, std::span<const SgdTensor> tensors, float momentum, const float* learning_rate,
                 const float* guard) {
  TensorTable table = {};
  std::fill_n(table.first_chunk, kTensors, std::numeric_limits<int>::max());
  size_t taken = 0;
  int64_t chunks = 0;
  for (int filled = 0; taken < tensors.size() && filled < kTensors; ++taken) {
    const SgdTensor& t = tensors[taken];
    const int64_t own = ceil_div(t.elements, kChunk);
    if (own == 0) continue;
    if (chunks + own >= std::numeric_limits<int>::max()) break;
    const bool aligned = is_aligned(t.parameter, 16) && is_aligned(t.momentum, 16) && is_aligned(t.gradient, 16) &&
                         is_aligned(t.copy, 8);
    table.tensor[filled] = {t.parameter, t.momentum, t.gradient, t.copy, t.elements, t.rate_factor, t.weight_decay};
    table.first_chunk[filled] = static_cast<int>(chunks);
    table.aligned |= static_cast<uint64_t>(aligned) << filled;
    chunks += own;
    ++filled;
  }
  if (chunks > 0) {
    launch(ctx, sgd_kernel, {{chunks}, kThreads}, table, momentum, learning_rate, guard);
  }
  return taken;
}

}  // namespace
}  // namespace cuda

void sgd_step(CudaContext& ctx, std::span<const SgdTensor> tensors, float momentum, const float* learning_rate,
              const float* guard) {
  while (!tensors.empty()) tensors = tensors.subspan(cuda::step_some(ctx, tensors, momentum, learning_rate, guard));
}

}  // namespace psanet::kernels
