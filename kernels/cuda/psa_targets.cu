// The softmax of every target, and sums over all positions: what the products need to know before they start.
#include "kernels/cuda/psa_pairs.h"

namespace psanet::kernels::cuda {

namespace {

constexpr int kThreads = 256;
constexpr float kLowest = -3.402823466e38f;

/// The largest of some scores and the sum of exp(score - largest).
struct Softmax {
  float largest, sum;

  __device__ __forceinline__ void add(const Softmax& other) {
    const float top = other.largest > largest ? other.largest : largest;
    sum = sum * exp2_fast((largest - top) * kLog2E) + other.sum * exp2_fast((other.largest - top) * kLog2E);
    largest = top;
  }
};

/// How many pairs of a target have no score.
__device__ __forceinline__ int pairs_outside(const ScoreView& view, bool targets_own, Place target) {
  const Span rows = targets_own ? view.partner_rows(target.row, target.row) : view.owner_rows(target.row, target.row);
  const Span columns = targets_own ? view.partner_columns(target.column, target.column)
                                   : view.owner_columns(target.column, target.column);
  return view.height * view.width - rows.count() * columns.count();
}

/// statistics [N, positions, 2] or null. A block has a few neighbouring targets, and several threads for each, which
/// take turns at the sources: neighbouring threads read neighbouring scores, of neighbouring sources if targets own,
/// else of neighbouring targets. Grid (groups of targets, images).
template <class T, bool kTargetsOwn>
__global__ void __launch_bounds__(kThreads)
    find_targets_kernel(ScoreView view, const T* scores, float* statistics, Target* targets) {
  constexpr int kTargets = kTargetsOwn ? 8 : 32, kTurns = kThreads / kTargets, kUnroll = 8;
  PSANET_SHARED(Softmax, parts, [kTargets][kTurns + 1]);
  const int thread = static_cast<int>(threadIdx.x), positions = view.height * view.width;
  const int own = kTargetsOwn ? thread / kTurns : thread % kTargets;
  const int turn = kTargetsOwn ? thread % kTurns : thread / kTargets;
  const int first = static_cast<int>(blockIdx.x) * kTargets, position = first + own;
  scores += blockIdx.y * view.image;

  const Span rows = rows_of(view, first, first + kTargets);
  const Span met = kTargetsOwn ? view.partner_rows(rows.begin, rows.end) : view.owner_rows(rows.begin, rows.end);
  const Owner owner = owner_at(view, kTargetsOwn ? position : positions, nullptr);
  const Partner partner = partner_at(view, kTargetsOwn ? positions : position, nullptr);
  Softmax all{kLowest, 0.0f};
  for (int source = met.begin * view.width + turn; source < met.end * view.width; source += kUnroll * kTurns) {
    float score[kUnroll];
    bool inside[kUnroll];
    PSANET_UNROLL
    for (int u = 0; u < kUnroll; ++u) {
      const int at = source + u * kTurns;
      int64_t offset;
      if constexpr (kTargetsOwn) {
        const Partner other = partner_at(view, at, nullptr);
        inside[u] = view.inside(owner.place, other.place);
        offset = owner.offset + other.offset;
      } else {
        const Owner other = owner_at(view, at, nullptr);
        inside[u] = view.inside(other.place, partner.place);
        offset = other.offset + partner.offset;
      }
      score[u] = inside[u] ? as_float(scores[offset]) : kLowest;
    }
    Softmax some{score[0], 0.0f};
    PSANET_UNROLL
    for (int u = 1; u < kUnroll; ++u) some.largest = score[u] > some.largest ? score[u] : some.largest;
    PSANET_UNROLL
    for (int u = 0; u < kUnroll; ++u) {
      some.sum += inside[u] ? exp2_fast((score[u] - some.largest) * kLog2E) : 0.0f;
    }
    all.add(some);
  }
  parts[own][turn] = all;
  __syncthreads();

  if (thread >= kTargets || first + thread >= positions) return;
  all = parts[thread][0];
  for (int t = 1; t < kTurns; ++t) all.add(parts[thread][t]);
  const int outside = pairs_outside(view, kTargetsOwn, view.place(first + thread));
  if (outside > 0) all.add({0.0f, static_cast<float>(outside)});
  const int64_t at = static_cast<int64_t>(blockIdx.y) * positions + first + thread;
  if (statistics) {
    statistics[2 * at] = all.largest;
    statistics[2 * at + 1] = all.sum;
  }
  const float inverse_sum = 1.0f / all.sum;
  targets[at] = {all.largest, inverse_sum, outside > 0 ? exp2_fast(-all.largest * kLog2E) * inverse_sum : 0.0f, 0.0f};
}

/// A warp for each of `count` targets of all images.
template <class T, int kN>
__global__ void __launch_bounds__(kThreads)
    recall_targets_kernel(ScoreView view, bool targets_own, int64_t count, int channels, const float* statistics,
                          const T* out, const T* d_out, Target* targets) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int64_t at = static_cast<int64_t>(blockIdx.x) * (kThreads / kWarp) + threadIdx.x / kWarp;
  if (at >= count) return;
  float dot = 0;
  for (int c = lane * kN; c < channels; c += kWarp * kN) {
    const Pack<T, kN> a = load<kN>(out + at * channels + c), b = load<kN>(d_out + at * channels + c);
    PSANET_UNROLL
    for (int i = 0; i < kN; ++i) dot += as_float(a.v[i]) * as_float(b.v[i]);
  }
  dot = warp_sum(dot);
  if (lane > 0) return;
  const int position = static_cast<int>(at % (view.height * view.width));
  const float largest = statistics[2 * at], inverse_sum = 1.0f / statistics[2 * at + 1];
  const bool outside = pairs_outside(view, targets_own, view.place(position)) > 0;
  targets[at] = {largest, inverse_sum, outside ? exp2_fast(-largest * kLog2E) * inverse_sum : 0.0f, dot};
}

constexpr int kAcross = 32, kDown = kThreads / kAcross;

/// Grid (blocks of channels, shares, images).
template <class T, int kN>
__global__ void __launch_bounds__(kThreads) sum_positions_kernel(int positions, int positions_of_share, int channels,
                                                                 const T* x, const Target* targets, float* totals) {
  PSANET_SHARED(float, sums, [kDown][kAcross * kN]);
  const int across = static_cast<int>(threadIdx.x) % kAcross, down = static_cast<int>(threadIdx.x) / kAcross;
  const int first = static_cast<int>(blockIdx.x) * kAcross * kN, channel = first + across * kN;
  const int begin = static_cast<int>(blockIdx.y) * positions_of_share;
  const int end = begin + positions_of_share < positions ? begin + positions_of_share : positions;
  const int64_t image = static_cast<int64_t>(blockIdx.z) * positions;
  float own[kN] = {};
  if (channel < channels) {
    for (int p = begin + down; p < end; p += kDown) {
      const float factor = targets ? targets[image + p].outside : 1.0f;
      accumulate(own, factor, load<kN>(x + (image + p) * channels + channel));
    }
  }
  PSANET_UNROLL
  for (int i = 0; i < kN; ++i) sums[down][across * kN + i] = own[i];
  __syncthreads();
  for (int c = static_cast<int>(threadIdx.x); c < kAcross * kN && first + c < channels; c += kThreads) {
    float total = 0;
    for (int d = 0; d < kDown; ++d) total += sums[d][c];
    totals[(static_cast<int64_t>(blockIdx.z) * gridDim.y + blockIdx.y) * channels + first + c] = total;
  }
}

}  // namespace

PsaPasses::PsaPasses(const PsaDims& d, const ScoreView& scores)
    : view(scores),
      images(static_cast<int>(d.batch)),
      channels(static_cast<int>(d.channels)),
      targets_own(d.mode == PsaMode::collect),
      softmax(d.softmax),
      scale(d.scale),
      shares(d.softmax && !scores.whole() ? static_cast<int>(std::clamp<int64_t>(d.positions() / 64, 1, 16)) : 0) {
  if (d.positions() * d.width >= int64_t{1} << 32 || d.positions() >= kNowhere || d.batch > 65535) {
    throw std::invalid_argument("point-wise spatial attention: a map or a batch as large as this is not supported");
  }
}

template <class T>
void find_targets(CudaContext& ctx, const PsaPasses& p, const T* scores, float* statistics, Target* targets) {
  const Grid grid{ceil_div(p.view.positions(), p.targets_own ? 8 : 32), p.images};
  launch(ctx, p.targets_own ? find_targets_kernel<T, true> : find_targets_kernel<T, false>, {grid, kThreads}, p.view,
         scores, statistics, targets);
}

template <class T>
void recall_targets(CudaContext& ctx, const PsaPasses& p, const float* statistics, const T* out, const T* d_out,
                    Target* targets) {
  const int64_t count = static_cast<int64_t>(p.images) * p.view.positions();
  const Grid grid{ceil_div(count, kThreads / kWarp)};
  const bool wide = p.channels % kVector<T> == 0;
  launch(ctx, wide ? recall_targets_kernel<T, kVector<T>> : recall_targets_kernel<T, 1>, {grid, kThreads}, p.view,
         p.targets_own, count, p.channels, statistics, out, d_out, targets);
}

template <class T>
void sum_positions(CudaContext& ctx, const PsaPasses& p, const T* x, const Target* targets, float* totals) {
  const bool wide = p.channels % kVector<T> == 0;
  const int64_t columns = kAcross * (wide ? kVector<T> : 1);
  const Grid grid{ceil_div(p.channels, columns), p.shares, p.images};
  launch(ctx, wide ? sum_positions_kernel<T, kVector<T>> : sum_positions_kernel<T, 1>, {grid, kThreads},
         p.view.positions(), ceil_div(p.view.positions(), p.shares), p.channels, x, targets, totals);
}

#define PSANET_INSTANTIATE(T)                                                                              \
  template void find_targets(CudaContext&, const PsaPasses&, const T*, float*, Target*);                   \
  template void recall_targets(CudaContext&, const PsaPasses&, const float*, const T*, const T*, Target*); \
  template void sum_positions(CudaContext&, const PsaPasses&, const T*, const Target*, float*);
PSANET_INSTANTIATE(float)
PSANET_INSTANTIATE(bf16)
#undef PSANET_INSTANTIATE

}  // namespace psanet::kernels::cuda
