// d_scores from value and d_out: d_weight_ij = scale * d_out_i . value_j, then through the softmax.
#include "kernels/cuda/block_product.h"
#include "kernels/cuda/psa_pairs.h"

namespace psanet::kernels::cuda {

namespace {

template <class T>
struct ScoreGradient {
  ScoreView view;
  int channels;
  float scale;
  const T* scores;
  const Target* targets;             // [N, positions]; null without softmax
  const T *of_owners, *of_partners;  // [N, positions, C]: d_out of the side that is the targets, value of the other
  T* d_scores;
};

constexpr int kDown = 2, kAcross = 2, kWarps = kDown * kAcross, kThreads = kWarp * kWarps;
constexpr int kOwners = kWarpTile * kDown, kPartners = kWarpTile * kAcross;
constexpr int kBand = 16;                  // owners whose results a warp lays out in shared memory at once
constexpr int kBandPitch = kWarpTile + 8;  // pairs of floats of rows 4 apart in different banks

template <class T>
struct Shared {
  T of_owners[2][kOwners * pitch<T>(kStep<T>)];
  T of_partners[2][kPartners * pitch<T>(kStep<T>)];
  float bands[kWarps][kBand * kBandPitch];
  Owner owners[kOwners];
};

/// d_scores of kOwners x kPartners pairs: products over the channels, then warp by warp, row by row, so that
/// neighbouring threads read and write neighbouring scores. Grid (blocks of partners, blocks of owners, images).
template <class T, bool kTargetsOwn>
__global__ void __launch_bounds__(kThreads) score_gradient_kernel(ScoreGradient<T> a) {
  PSANET_DYNAMIC_SHARED(Shared<T>, shared);
  const ScoreView& view = a.view;
  const int thread = static_cast<int>(threadIdx.x), positions = view.height * view.width;
  const int first_partner = static_cast<int>(blockIdx.x) * kPartners;
  const int first_owner = static_cast<int>(blockIdx.y) * kOwners;
  const Span owner_rows = rows_of(view, first_owner, first_owner + kOwners);
  const Span partner_rows = rows_of(view, first_partner, first_partner + kPartners);
  const Span met = view.partner_rows(owner_rows.begin, owner_rows.end);
  if (met.end <= partner_rows.begin || met.begin > partner_rows.end) return;  // no pair has a score

  const int64_t image = blockIdx.z;
  const bool wide = a.channels % kVector<T> == 0;
  const Target* targets = a.targets ? a.targets + image * positions : nullptr;
  for (int i = thread; i < kOwners; i += kThreads) {
    shared->owners[i] = owner_at(view, first_owner + i, kTargetsOwn ? targets : nullptr);
  }
  const auto copy = [&](int step) {
    load_tile<kOwners, kStep<T>, kThreads>(a.of_owners + image * positions * a.channels, positions, a.channels,
                                           first_owner, step * kStep<T>, wide, shared->of_owners[step % 2]);
    load_tile<kPartners, kStep<T>, kThreads>(a.of_partners + image * positions * a.channels, positions, a.channels,
                                             first_partner, step * kStep<T>, wide, shared->of_partners[step % 2]);
    copy_async_commit();
  };

  const int warp = thread / kWarp, lane = thread % kWarp;
  const int warp_owner = warp / kAcross * kWarpTile, warp_partner = warp % kAcross * kWarpTile;
  const bool idle = first_owner + warp_owner >= positions || first_partner + warp_partner >= positions;
  WarpProduct<T> product;
  const int steps = (a.channels + kStep<T> - 1) / kStep<T>;
  copy(0);
  for (int step = 0; step < steps; ++step) {
    copy_async_wait<0>();
    __syncthreads();
    if (step + 1 < steps) copy(step + 1);
    constexpr int kPitch = pitch<T>(kStep<T>);
    if (idle) continue;
    product.template add<Sums::along_rows, Sums::along_rows>(shared->of_owners[step % 2] + warp_owner * kPitch, kPitch,
                                                             shared->of_partners[step % 2] + warp_partner * kPitch,
                                                             kPitch);
  }

  if (idle) return;
  Partner partner[2];
  PSANET_UNROLL
  for (int i = 0; i < 2; ++i) {
    partner[i] = partner_at(view, first_partner + warp_partner + i * kWarp + lane, kTargetsOwn ? nullptr : targets);
  }
  const T* scores = a.scores + image * view.image;
  T* d_scores = a.d_scores + image * view.image;
  float* band = shared->bands[warp];
  PSANET_UNROLL
  for (int b = 0; b < kWarpTile / kBand; ++b) {
    product.visit(b, [&](int r, int c, float left, float right) {
      store<2>(band + r % kBand * kBandPitch + c, Pack<float, 2>{left, right});
    });
    __syncwarp();
    constexpr int kAtOnce = 4;  // owners whose scores are on their way
    for (int r = 0; r < kBand; r += kAtOnce) {
      const Owner* owners = shared->owners + warp_owner + b * kBand + r;
      T score[kAtOnce][2];
      PSANET_UNROLL
      for (int u = 0; u < kAtOnce; ++u) {
        PSANET_UNROLL
        for (int i = 0; i < 2; ++i) {
          const bool inside = view.inside(owners[u].place, partner[i].place);
          score[u][i] = inside && targets ? scores[owners[u].offset + partner[i].offset] : T{};
        }
      }
      PSANET_UNROLL
      for (int u = 0; u < kAtOnce; ++u) {
        PSANET_UNROLL
        for (int i = 0; i < 2; ++i) {
          float gradient = a.scale * band[(r + u) * kBandPitch + i * kWarp + lane];
          if (targets) {
            const Target& target = kTargetsOwn ? owners[u].target : partner[i].target;
            gradient = weight_of(target, as_float(score[u][i])) * (gradient - target.dot);
          }
          if (view.inside(owners[u].place, partner[i].place)) {
            d_scores[owners[u].offset + partner[i].offset] = rounded<T>(gradient);
          }
        }
      }
    }
    __syncwarp();
  }
}

/// Zeros where an owner's entries belong to no pair: in units of 16 bytes where a whole unit does not. A warp for each
/// owner; grid (groups of owners, images).
template <class T>
__global__ void __launch_bounds__(kThreads) clear_unread_kernel(ScoreView view, T* d_scores) {
  const int position = static_cast<int>(blockIdx.x) * kWarps + static_cast<int>(threadIdx.x) / kWarp;
  if (position >= view.height * view.width) return;
  constexpr int kN = kVector<T>;
  const Place owner = view.place(position);
  // Entry (row, column) of those stored points to the place (top + row, left + column), which may be off the map.
  const int top = owner.row - view.half_h + view.first_mask_row(owner.row), left = owner.column - view.half_w;
  const int64_t first = blockIdx.y * view.image + view.owner_offset(owner) + view.partner_offset({top, left});
  const int begin = -static_cast<int>(first % kN);  // units are aligned, an owner's first entry need not be
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  for (int unit = begin + lane * kN; unit < view.entries; unit += kWarp * kN) {
    const int start = unit > 0 ? unit : 0;
    int row = view.mask_columns.quotient(start), column = start - row * view.mask_w;
    bool unread[kN];
    bool all = true;
    PSANET_UNROLL
    for (int i = 0; i < kN; ++i) {
      const bool there = unit + i >= 0 && unit + i < view.entries;
      const bool read = static_cast<unsigned>(top + row) < static_cast<unsigned>(view.height) &&
                        static_cast<unsigned>(left + column) < static_cast<unsigned>(view.width);
      unread[i] = there && !read;
      all = all && unread[i];
      if (unit + i >= 0 && ++column == view.mask_w) {
        column = 0;
        ++row;
      }
    }
    T* to = d_scores + first + unit;
    if (all) {
      store<kN>(to, Pack<T, kN>{});
    } else {
      PSANET_UNROLL
      for (int i = 0; i < kN; ++i) {
        if (unread[i]) to[i] = T{};
      }
    }
  }
}

}  // namespace

template <class T>
void differentiate_scores(CudaContext& ctx, const PsaPasses& p, const T* scores, const Target* targets, const T* value,
                          const T* d_out, T* d_scores) {
  if (p.view.entries > 0) {
    const Grid owners{ceil_div(p.view.positions(), kWarps), p.images};
    launch(ctx, clear_unread_kernel<T>, {owners, kThreads}, p.view, d_scores);
  }
  const ScoreGradient<T> a{
      p.view,  p.channels, p.scale, scores, targets, p.targets_own ? d_out : value, p.targets_own ? value : d_out,
      d_scores};
  const Grid grid{ceil_div(p.view.positions(), kPartners), ceil_div(p.view.positions(), kOwners), p.images};
  launch(ctx, p.targets_own ? score_gradient_kernel<T, true> : score_gradient_kernel<T, false>,
         {grid, kThreads, sizeof(Shared<T>)}, a);
}

template void differentiate_scores(CudaContext&, const PsaPasses&, const float*, const Target*, const float*,
                                   const float*, float*);
template void differentiate_scores(CudaContext&, const PsaPasses&, const bf16*, const Target*, const bf16*, const bf16*,
                                   bf16*);

}  // namespace psanet::kernels::cuda
