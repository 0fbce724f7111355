// The products with the attention, which exists as tiles in shared memory only: out from value, d_value from d_out.
#include "kernels/cuda/block_product.h"
#include "kernels/cuda/psa_pairs.h"

namespace psanet::kernels::cuda {

namespace {

template <class T>
struct Aggregation {
  ScoreView view;
  int channels;
  float scale;
  int shares;
  const T* scores;
  const Target* targets;  // [N, positions]; null without softmax
  const T* x;             // [N, positions, C]: what is added up
  const float* totals;    // [N, shares, C]
  T* y;                   // [N, positions, C]
};

// A block computes 64 kDown positions x 64 kAcross channels of y. It walks over all positions that have scores with its
// own, kStep at a time: while the warps multiply one tile of weights with one tile of x, the next tile of x is copied
// and the scores of the next weights are on their way to registers, where they become weights behind the products. A
// tile of weights is [owners][partners] in shared memory, whichever of the two y's positions are: so neighbouring
// threads always read neighbouring scores.
template <class T, int kDown, int kAcross, bool kRowsOwn, bool kTargetsOwn>
struct Shape {
  static constexpr int kThreads = kWarp * kDown * kAcross;
  static constexpr int kRows = kWarpTile * kDown, kColumns = kWarpTile * kAcross;
  static constexpr int kOwners = kRowsOwn ? kRows : kStep<T>, kPartners = kRowsOwn ? kStep<T> : kRows;
  static constexpr int kPairs = kPartners / 2;  // a thread makes the weights of two neighbouring partners
  static constexpr int kPasses = kOwners * kPairs / kThreads;
  static_assert(kPasses * 2 <= 32 && kThreads % kPairs == 0);

  struct Shared {
    T weights[2][kOwners * pitch<T>(kPartners)];
    T x[2][kStep<T> * pitch<T>(kColumns)];
    Owner owners[kRowsOwn ? 1 : 2][kOwners];
    float totals[kColumns];
  };
};

/// Two scores, as stored; bf16 in one register.
template <class T>
struct ScorePair {
  float first, second;

  __device__ __forceinline__ void set(float a, float b) {
    first = a;
    second = b;
  }
  __device__ __forceinline__ float get(int i) const { return i == 0 ? first : second; }
};
template <>
struct ScorePair<bf16> {
  uint32_t both;

  __device__ __forceinline__ void set(bf16 a, bf16 b) { both = pack(a, b); }
  __device__ __forceinline__ float get(int i) const {
    return __uint_as_float(i == 0 ? both << 16 : both & 0xffff0000u);
  }
};

/// The weights of one tile, on their way from the scores to shared memory.
template <class T, class Shape, bool kTargetsOwn>
class Weights {
 public:
  /// Starts to load the scores of the owners with the partners from `first_partner`.
  __device__ __forceinline__ void load_scores(const ScoreView& view, const T* scores, const Owner* owners,
                                              int first_partner, const Target* targets) {
    PSANET_UNROLL
    for (int i = 0; i < 2; ++i)
      partner_[i] = partner_at(view, first_partner + 2 * pair() + i, kTargetsOwn ? nullptr : targets);
    inside_ = 0;
    PSANET_UNROLL
    for (int pass = 0; pass < Shape::kPasses; ++pass) {
      const Owner& owner = owners[own(pass)];
      const T* from = scores + owner.offset;
      T score[2];
      PSANET_UNROLL
      for (int i = 0; i < 2; ++i) {
        const bool inside = view.inside(owner.place, partner_[i].place);
        score[i] = inside ? from[partner_[i].offset] : T{};
        inside_ |= static_cast<unsigned>(inside) << (2 * pass + i);
      }
      scores_[pass].set(score[0], score[1]);
    }
  }

  __device__ __forceinline__ void store_weights(const Owner* owners, bool softmax, T* tile) const {
    PSANET_UNROLL
    for (int pass = 0; pass < Shape::kPasses; ++pass) {
      Pack<T, 2> weights;
      PSANET_UNROLL
      for (int i = 0; i < 2; ++i) {
        float w = scores_[pass].get(i);
        if (softmax) {
          const Target& target = kTargetsOwn ? owners[own(pass)].target : partner_[i].target;
          w = inside_ >> (2 * pass + i) & 1 ? weight_of(target, w) - target.outside : 0.0f;
        }
        weights.v[i] = rounded<T>(w);
      }
      store<2>(tile + own(pass) * pitch<T>(Shape::kPartners) + 2 * pair(), weights);
    }
  }

 private:
  __device__ __forceinline__ static int pair() { return static_cast<int>(threadIdx.x) % Shape::kPairs; }
  __device__ __forceinline__ static int own(int pass) {
    return static_cast<int>(threadIdx.x) / Shape::kPairs + pass * (Shape::kThreads / Shape::kPairs);
  }

  Partner partner_[2];
  ScorePair<T> scores_[Shape::kPasses];
  unsigned inside_;  // a bit for each score: is there one?
};

/// Grid (blocks of positions, blocks of channels, images).
template <class T, int kDown, int kAcross, bool kRowsOwn, bool kTargetsOwn>
__global__ void __launch_bounds__(kWarp* kDown* kAcross) aggregate_kernel(Aggregation<T> a) {
  using Shape = Shape<T, kDown, kAcross, kRowsOwn, kTargetsOwn>;
  PSANET_DYNAMIC_SHARED(typename Shape::Shared, shared);
  constexpr bool kRowsAreTargets = kRowsOwn == kTargetsOwn;
  const ScoreView& view = a.view;
  const int thread = static_cast<int>(threadIdx.x), positions = view.height * view.width;
  const int first_row = static_cast<int>(blockIdx.x) * Shape::kRows;
  const int first_column = static_cast<int>(blockIdx.y) * Shape::kColumns;
  const int64_t image = blockIdx.z;
  const bool wide = a.channels % kVector<T> == 0, softmax = a.targets != nullptr;
  const T* scores = a.scores + image * view.image;
  const T* x = a.x + image * positions * a.channels;
  const Target* targets = softmax ? a.targets + image * positions : nullptr;

  // The positions that are added up.
  const Span rows = rows_of(view, first_row, first_row + Shape::kRows);
  const Span met = kRowsOwn ? view.partner_rows(rows.begin, rows.end) : view.owner_rows(rows.begin, rows.end);
  const int begin = met.begin * view.width, steps = (met.count() * view.width + kStep<T> - 1) / kStep<T>;

  const auto find_owners = [&](int first, Owner* owners) {
    for (int i = thread; i < Shape::kOwners; i += Shape::kThreads) {
      owners[i] = owner_at(view, first + i, kTargetsOwn ? targets : nullptr);
    }
  };
  const auto owners_of = [&](int step) -> Owner* { return shared->owners[kRowsOwn ? 0 : step % 2]; };
  const auto first_partner = [&](int step) { return kRowsOwn ? begin + step * kStep<T> : first_row; };
  const auto copy_x = [&](int step) {
    load_tile<kStep<T>, Shape::kColumns, Shape::kThreads>(x, positions, a.channels, begin + step * kStep<T>,
                                                          first_column, wide, shared->x[step % 2]);
    copy_async_commit();
  };

  if constexpr (kRowsOwn) {
    find_owners(first_row, owners_of(0));
  } else {
    find_owners(begin, owners_of(0));
    find_owners(begin + kStep<T>, owners_of(1));
  }
  for (int c = thread; c < Shape::kColumns; c += Shape::kThreads) {
    float total = 0;
    for (int s = 0; s < a.shares && first_column + c < a.channels; ++s) {
      total += a.totals[(image * a.shares + s) * a.channels + first_column + c];
    }
    shared->totals[c] = total;
  }
  __syncthreads();

  const int warp = thread / kWarp, warp_row = warp / kAcross * kWarpTile, warp_column = warp % kAcross * kWarpTile;
  const bool idle = first_row + warp_row >= positions || first_column + warp_column >= a.channels;
  WarpProduct<T> product;
  Weights<T, Shape, kTargetsOwn> weights;
  copy_x(0);
  weights.load_scores(view, scores, owners_of(0), first_partner(0), targets);
  weights.store_weights(owners_of(0), softmax, shared->weights[0]);
  for (int step = 0; step < steps; ++step) {
    copy_async_wait<0>();
    __syncthreads();
    if (step + 1 < steps) {
      copy_x(step + 1);
      weights.load_scores(view, scores, owners_of(step + 1), first_partner(step + 1), targets);
    }
    if (!kRowsOwn && step + 2 < steps) find_owners(begin + (step + 2) * kStep<T>, owners_of(step));
    constexpr Sums kOrder = kRowsOwn ? Sums::along_rows : Sums::across_rows;
    constexpr int kPitch = pitch<T>(Shape::kPartners);
    if (!idle)
      product.template add<kOrder, Sums::across_rows>(shared->weights[step % 2] + warp_row * (kRowsOwn ? kPitch : 1),
                                                      kPitch, shared->x[step % 2] + warp_column,
                                                      pitch<T>(Shape::kColumns));
    if (step + 1 < steps) weights.store_weights(owners_of(step + 1), softmax, shared->weights[(step + 1) % 2]);
  }

  T* y = a.y + image * positions * a.channels;
  PSANET_UNROLL
  for (int band = 0; band < 4; ++band) {
    product.visit(band, [&](int r, int c, float left, float right) {
      const int row = first_row + warp_row + r, column = first_column + warp_column + c;
      if (row >= positions || column >= a.channels) return;
      const float* total = shared->totals + warp_column + c;
      const float share = a.shares == 0 ? 0.0f : kRowsAreTargets ? targets[row].outside : 1.0f;
      const T first = rounded<T>(a.scale * (left + share * total[0]));
      const T second = rounded<T>(a.scale * (right + share * total[1]));
      T* to = y + static_cast<int64_t>(row) * a.channels + column;
      if (a.channels % 2 == 0) {
        store<2>(to, Pack<T, 2>{first, second});
      } else {
        to[0] = first;
        if (column + 1 < a.channels) to[1] = second;
      }
    });
  }
}

template <class T, int kDown, int kAcross, bool kRowsOwn, bool kTargetsOwn>
void run(CudaContext& ctx, const Aggregation<T>& a, int images) {
  using Shape = Shape<T, kDown, kAcross, kRowsOwn, kTargetsOwn>;
  const Grid grid{ceil_div(a.view.positions(), Shape::kRows), ceil_div(a.channels, Shape::kColumns), images};
  launch(ctx, aggregate_kernel<T, kDown, kAcross, kRowsOwn, kTargetsOwn>,
         {grid, Shape::kThreads, sizeof(typename Shape::Shared)}, a);
}

/// Large blocks read x and the scores fewer times; small ones are for maps that would leave multiprocessors idle.
template <class T, bool kRowsOwn, bool kTargetsOwn>
void run(CudaContext& ctx, const Aggregation<T>& a, int images) {
  const int64_t large_blocks = ceil_div(a.view.positions(), 128) * ceil_div(a.channels, 256) * images;
  if (large_blocks >= ctx.runtime->multiprocessors) {
    run<T, 2, 4, kRowsOwn, kTargetsOwn>(ctx, a, images);
  } else {
    run<T, 1, 4, kRowsOwn, kTargetsOwn>(ctx, a, images);
  }
}

}  // namespace

template <class T>
void aggregate(CudaContext& ctx, const PsaPasses& p, bool for_targets, const T* scores, const Target* targets,
               const T* x, const float* totals, T* y) {
  const Aggregation<T> a{p.view, p.channels, p.scale, p.shares, scores, targets, x, totals, y};
  if (for_targets) {
    p.targets_own ? run<T, true, true>(ctx, a, p.images) : run<T, false, false>(ctx, a, p.images);
  } else {
    p.targets_own ? run<T, false, true>(ctx, a, p.images) : run<T, true, false>(ctx, a, p.images);
  }
}

template void aggregate(CudaContext&, const PsaPasses&, bool, const float*, const Target*, const float*, const float*,
                        float*);
template void aggregate(CudaContext&, const PsaPasses&, bool, const bf16*, const Target*, const bf16*, const float*,
                        bf16*);

}  // namespace psanet::kernels::cuda
