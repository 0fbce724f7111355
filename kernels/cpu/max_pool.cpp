// Max pooling, both ways: the places that are compared (or the windows that are gathered from) are listed once for a
// position; then sixteen channels at a time stay in registers while the list is walked.
#include <limits>

#include "kernels/cpu/lanes.h"
#include "kernels/cpu/parallel.h"
#include "kernels/pool_axis.h"

namespace psanet::kernels {

using namespace cpu;  // the helpers of this folder

namespace {

/// Winner of a window that lies in the padding altogether, and the most places a window may have.
constexpr int32_t kNoWinner = 255;

/// A value that takes part: where its first channel is, and its place in the window.
struct Taken {
  int64_t at;
  int32_t tap;
};

typedef uint8_t Bytes __attribute__((vector_size(16), aligned(1), may_alias));
typedef uint16_t Words __attribute__((vector_size(32)));

// In two steps, each of which is one instruction; GCC 12 makes a long detour of one step.
IntLanes places_of(const uint8_t* winner) {
  return __builtin_convertvector(__builtin_convertvector(*reinterpret_cast<const Bytes*>(winner), Words), IntLanes);
}
void store_places(uint8_t* winner, IntLanes places) {
  *reinterpret_cast<Bytes*>(winner) = __builtin_convertvector(__builtin_convertvector(places, Words), Bytes);
}

}  // namespace

void max_pool_forward(CpuContext& ctx, const PoolDims& dims, const float* x, float* y, uint8_t* winner) {
  const auto rows = vertical<Range>(dims), columns = horizontal<Range>(dims);
  const int64_t channels = dims.channels;
  parallel_blocks(ctx, dims.batch * rows.out, [&](int64_t block) {
    const int64_t n = block / rows.out, oh = block % rows.out;
    const Range hs = rows.inside(oh);
    for (int64_t ow = 0; ow < columns.out; ++ow) {
      Taken taken[kNoWinner];
      int64_t count = 0;
      const Range ws = columns.inside(ow);
      for (int64_t h = hs.begin; h < hs.end; ++h) {
        for (int64_t w = ws.begin; w < ws.end; ++w) {
          taken[count++] = {((n * rows.in + h) * columns.in + w) * channels,
                            static_cast<int32_t>((h - rows.start(oh)) * columns.kernel + w - columns.start(ow))};
        }
      }
      const int64_t to = (block * columns.out + ow) * channels;
      if (count == 0) {  // a window of padding alone
        std::fill_n(y + to, channels, -std::numeric_limits<float>::infinity());
        if (winner != nullptr) std::fill_n(winner + to, channels, static_cast<uint8_t>(kNoWinner));
        continue;
      }
      // The first of equals stays. A NaN (v != v) wins, and as nothing is larger it stays unless another NaN follows.
      int64_t c = 0;
      for (; c + kLanes <= channels; c += kLanes) {
        Lanes best = load(x + taken[0].at + c);
        IntLanes place = IntLanes{} + taken[0].tap;
        for (int64_t i = 1; i < count; ++i) {
          const Lanes v = load(x + taken[i].at + c);
          const auto better = (v > best) | (v != v);
          best = better ? v : best;
          place = better ? IntLanes{} + taken[i].tap : place;
        }
        store(y + to + c, best);
        if (winner != nullptr) store_places(winner + to + c, place);
      }
      for (; c < channels; ++c) {
        float best = x[taken[0].at + c];
        int32_t place = taken[0].tap;
        for (int64_t i = 1; i < count; ++i) {
          const float v = x[taken[i].at + c];
          if (!(v > best || v != v)) continue;
          best = v;
          place = taken[i].tap;
        }
        y[to + c] = best;
        if (winner != nullptr) winner[to + c] = static_cast<uint8_t>(place);
      }
    }
  });
}

void max_pool_backward(CpuContext& ctx, const PoolDims& dims, const uint8_t* winner, const float* d_y, float* d_x) {
  const auto rows = vertical<Range>(dims), columns = horizontal<Range>(dims);
  const int64_t channels = dims.channels;
  parallel_blocks(ctx, dims.batch * dims.in_h, [&](int64_t block) {
    const int64_t n = block / dims.in_h, h = block % dims.in_h;
    const Range ohs = rows.windows_of(h);
    for (int64_t w = 0; w < dims.in_w; ++w) {
      Taken windows[kNoWinner];  // of each window over this place: its gradient, and which place of it this is
      int64_t count = 0;
      const Range ows = columns.windows_of(w);
      for (int64_t oh = ohs.begin; oh < ohs.end; ++oh) {
        for (int64_t ow = ows.begin; ow < ows.end; ++ow) {
          windows[count++] = {((n * rows.out + oh) * columns.out + ow) * channels,
                              static_cast<int32_t>((h - rows.start(oh)) * columns.kernel + w - columns.start(ow))};
        }
      }
      float* to = d_x + (block * dims.in_w + w) * channels;
      int64_t c = 0;
      for (; c + kLanes <= channels; c += kLanes) {
        Lanes sum{};
        for (int64_t i = 0; i < count; ++i) {
          const int64_t at = windows[i].at + c;
          sum += places_of(winner + at) == windows[i].tap ? load(d_y + at) : Lanes{};
        }
        store(to + c, sum);
      }
      for (; c < channels; ++c) {
        float sum = 0;
        for (int64_t i = 0; i < count; ++i) {
          const int64_t at = windows[i].at + c;
          sum += winner[at] == windows[i].tap ? d_y[at] : 0.0f;
        }
        to[c] = sum;
      }
    }
  });
}

}  // namespace psanet::kernels
