#include "kernels/loss.h"

#include <cmath>

#include "kernels/cpu/resize_axis.h"
#include "kernels/cpu/softmax_row.h"

namespace psanet::kernels {

using namespace cpu;  // the helpers of this folder

namespace {

// Full-resolution logits exist for one pixel at a time. An output row is interpolated vertically once, as a row of
// in_w columns of logits; its pixels lie between two neighbouring columns. The gradient goes the same way back: pixels
// add to the two columns they lie between, and a finished row of column gradients is added to the two low-resolution
// rows it was made from. Bands of output rows between the same two low-resolution rows are the units of parallel work:
// a band writes the gradient of its upper row to d_logits and that of its lower row to the workspace; afterwards each
// row gets the lower part of the band above it.

struct Layout {
  Layout(const CpuContext& ctx, const ResizeDims& d)
      : padded(whole_lanes(d.channels)),
        row(d.in_w * padded),
        band_rows(d.batch * d.in_h * d.in_w * d.channels),
        thread_floats(2 * row + padded),
        sums(d.batch * d.out_h),
        threads(ctx.threads) {}

  int64_t padded;         // channels of a column in scratch memory
  int64_t row;            // floats of a row of columns
  int64_t band_rows;      // floats of the lower rows of all bands
  int64_t thread_floats;  // scratch of a thread: logits and gradients of a row of columns, gradient of a pixel
  int64_t sums;           // output rows, of each of which the loss and the number of valid pixels are kept
  int64_t threads;

  int64_t bytes() const {
    return sums * 2 * static_cast<int64_t>(sizeof(double)) +
           (whole_lanes(band_rows) + threads * thread_floats) * static_cast<int64_t>(sizeof(float)) + 64;
  }
};

struct RowSum {
  double loss = 0, valid = 0;
};

/// One output row: everything about it that stays the same along it.
struct Row {
  const ResizeAxis& columns;
  int64_t channels, padded;
  int ignore;
  const uint8_t* label;  // [OW]
  const float* logits;   // [W, padded], interpolated vertically; padding is very negative
  float* d_logits;       // [W, padded], or null
  float* probabilities;  // [padded] scratch
};

/// Cross entropy of the row, its gradient added to row.d_logits.
RowSum row_cross_entropy(const Row& row) {
  RowSum total;
  for (int64_t o = 0; o < row.columns.out(); ++o) {
    const int label = row.label[o];
    if (label == row.ignore || label >= row.channels) continue;
    const Tap tap = row.columns[o];
    const float *left = row.logits + tap.low * row.padded, *right = row.logits + tap.high * row.padded;

    float* p = row.probabilities;
    Lanes top = broadcast(std::numeric_limits<float>::lowest());
    for (int64_t c = 0; c < row.padded; c += kLanes) {
      const Lanes v = tap.weight_low * load(left + c) + tap.weight_high * load(right + c);
      store(p + c, v);
      top = larger(v, top);
    }
    const float highest = largest(top);
    const float own = p[label];
    const float denominator = exponentials(p, row.padded, highest);
    total.loss += static_cast<double>(std::log(denominator) + (highest - own));
    total.valid += 1;

    if (row.d_logits != nullptr) {
      float *d_left = row.d_logits + tap.low * row.padded, *d_right = row.d_logits + tap.high * row.padded;
      const float to_left = tap.weight_low / denominator, to_right = tap.weight_high / denominator;
      p[label] -= denominator;
      for (int64_t c = 0; c < row.padded; c += kLanes) {
        const Lanes g = load(p + c);
        store(d_left + c, load(d_left + c) + g * to_left);
        store(d_right + c, load(d_right + c) + g * to_right);
      }
    }
  }
  return total;
}

}  // namespace

int64_t resize_cross_entropy_workspace_bytes(const CpuContext& ctx, const ResizeDims& dims) {
  return Layout(ctx, dims).bytes();
}

void resize_cross_entropy(CpuContext& ctx, const ResizeDims& dims, int ignore, const float* logits,
                          const uint8_t* label, float* loss_sum, float* valid, float* d_logits, void* workspace) {
  const Layout layout(ctx, dims);
  const ResizeAxis rows(dims.in_h, dims.out_h, dims.align_corners), columns(dims.in_w, dims.out_w, dims.align_corners);
  const int64_t channels = dims.channels, padded = layout.padded, low_row = dims.in_w * channels;
  auto* sums = static_cast<RowSum*>(workspace);
  auto* lower = reinterpret_cast<float*>(sums + layout.sums);
  float* scratch = lower + whole_lanes(layout.band_rows);

  parallel_tasks(ctx, dims.batch * dims.in_h, [&](int64_t task, int64_t thread) {
    const int64_t image = task / dims.in_h, upper_row = task % dims.in_h;
    const int64_t lower_row = std::min(upper_row + 1, dims.in_h - 1);
    const float* above = logits + (image * dims.in_h + upper_row) * low_row;
    const float* below = logits + (image * dims.in_h + lower_row) * low_row;
    float* d_above = d_logits == nullptr ? nullptr : d_logits + task * low_row;
    float* d_below = lower + task * low_row;
    float* row_logits = scratch + thread * layout.thread_floats;
    float* row_gradient = row_logits + layout.row;
    float* probabilities = row_gradient + layout.row;
    if (d_logits != nullptr) {
      std::fill_n(d_above, low_row, 0.0f);
      std::fill_n(d_below, low_row, 0.0f);
    }
    const Range band = rows.cell(upper_row);
    for (int64_t o = band.begin; o < band.end; ++o) {
      const Tap tap = rows[o];
      for (int64_t w = 0; w < dims.in_w; ++w) {
        float* to = row_logits + w * padded;
        const float *a = above + w * channels, *b = below + w * channels;
#pragma omp simd
        for (int64_t c = 0; c < channels; ++c) to[c] = tap.weight_low * a[c] + tap.weight_high * b[c];
        std::fill(to + channels, to + padded, -1e30f);
      }
      if (d_logits != nullptr) std::fill_n(row_gradient, layout.row, 0.0f);
      sums[image * dims.out_h + o] =
          row_cross_entropy({columns, channels, padded, ignore, label + (image * dims.out_h + o) * dims.out_w,
                             row_logits, d_logits == nullptr ? nullptr : row_gradient, probabilities});
      if (d_logits == nullptr) continue;
      for (int64_t w = 0; w < dims.in_w; ++w) {
        const float* g = row_gradient + w * padded;
        float *a = d_above + w * channels, *b = d_below + w * channels;
#pragma omp simd
        for (int64_t c = 0; c < channels; ++c) {
          a[c] += tap.weight_low * g[c];
          b[c] += tap.weight_high * g[c];
        }
      }
    }
  });

  if (d_logits != nullptr) {
    parallel_blocks(ctx, dims.batch * dims.in_h, [&](int64_t row) {
      const auto add = [&](int64_t band) {
        const float* from = lower + band * low_row;
        float* to = d_logits + row * low_row;
#pragma omp simd
        for (int64_t i = 0; i < low_row; ++i) to[i] += from[i];
      };
      if (row % dims.in_h > 0) add(row - 1);
      if (row % dims.in_h == dims.in_h - 1) add(row);  // below the last row is the last row
    });
  }
  RowSum total;
  for (int64_t row = 0; row < layout.sums; ++row) {
    total.loss += sums[row].loss;
    total.valid += sums[row].valid;
  }
  *loss_sum = static_cast<float>(total.loss);
  *valid = static_cast<float>(total.valid);
}

void confusion_counts(CpuContext&, int64_t pixels, int64_t classes, int ignore, const uint8_t* prediction,
                      const uint8_t* truth, int64_t* counts) {
  // On one thread: a pixel costs about a nanosecond, and tables per thread would need memory.
  for (int64_t i = 0; i < pixels; ++i) {
    if (truth[i] == ignore || truth[i] >= classes || prediction[i] >= classes) continue;
    ++counts[truth[i] * classes + prediction[i]];
  }
}

}  // namespace psanet::kernels
