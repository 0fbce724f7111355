#include "kernels/psa.h"

#include "kernels/cpu/lanes.h"
#include "kernels/cpu/panel_product.h"
#include "kernels/cpu/psa_pairs.h"
#include "kernels/cpu/softmax_row.h"

namespace psanet::kernels {

using namespace cpu;  // the helpers of this folder

namespace {

// Attention exists for a block of positions at a time, as a tile [kBlock, H*W] that stays in the cache: gathered from
// the logits, put through the softmax, multiplied. Forward, the rows of a tile are targets. Backward they are sources:
// then every gradient has one task that computes it whole, and nothing is added up across tasks. The same blocks, and
// so the same bits, whatever the number of threads.

/// Positions in a block.
constexpr int64_t kBlock = 32;

/// Weights below e^-60 of the largest are 0: no subnormal numbers, which are slow, enter the products.
constexpr float kNegligible = -60.0f;

/// A gradient smaller than this is written as 0, for the same reason.
constexpr float kTinyGradient = 1e-30f;

/// What the backward pass knows about each target.
struct TargetTerms {
  float *highest, *inverse_sum, *dot;  // [H*W, padded]; dot = d_out . out
};

/// The workspace: packed matrices of every image, terms of every target, two tiles for each thread.
struct Layout {
  Layout(const CpuContext& ctx, const PsaDims& d)
      : positions(d.positions()),
        padded(whole_lanes(positions)),
        by_channel{positions, d.channels},
        by_position{d.channels, positions},
        blocks(ceil_div(positions, kBlock)),
        tile(kBlock * padded),
        images(d.batch),
        threads(ctx.threads) {}

  int64_t positions, padded;
  Panels by_channel;   // value or d_out as [H*W, C]
  Panels by_position;  // d_out as [C, H*W]
  int64_t blocks, tile, images, threads;

  int64_t floats_of_image() const { return whole_lanes(by_channel.floats() + by_position.floats()) + 3 * padded; }
  int64_t floats() const { return images * floats_of_image() + threads * 2 * tile; }

  float* packed_by_channel(void* workspace, int64_t image) const {
    return static_cast<float*>(workspace) + image * floats_of_image();
  }
  float* packed_by_position(void* workspace, int64_t image) const {
    return packed_by_channel(workspace, image) + by_channel.floats();
  }
  TargetTerms terms(void* workspace, int64_t image) const {
    float* first = packed_by_channel(workspace, image + 1) - 3 * padded;
    return {first, first + padded, first + 2 * padded};
  }
  float* tiles(void* workspace, int64_t thread) const {
    return packed_by_channel(workspace, images) + thread * 2 * tile;
  }
};

/// The weights of all targets [padded] for one source, from its logits.
void weights_of_source(const TargetTerms& terms, int64_t padded, float* row) {
  for (int64_t i = 0; i < padded; i += kLanes) {
    const Lanes e = exp(load(row + i) - load(terms.highest + i), kNegligible);
    store(row + i, e * load(terms.inverse_sum + i));
  }
}

/// d_logits of one source (in place of d_weights): weight * (d_weight - dot).
void through_softmax(const TargetTerms& terms, int64_t padded, const float* weights, float* gradient) {
  for (int64_t i = 0; i < padded; i += kLanes) {
    const Lanes g = load(weights + i) * (load(gradient + i) - load(terms.dot + i));
    store(gradient + i, (g < kTinyGradient && g > -kTinyGradient) ? Lanes{} : g);
  }
}

/// The terms of a block of targets of one image, and those of the padding after the last target.
void target_terms(const PsaDims& dims, const Layout& layout, Range targets, const float* out, const float* statistics,
                  const float* d_out, const TargetTerms& terms) {
  for (int64_t i = targets.begin; i < targets.end; ++i) {
    terms.highest[i] = statistics[2 * i];
    terms.inverse_sum[i] = 1.0f / statistics[2 * i + 1];
    float dot = 0;
#pragma omp simd reduction(+ : dot)
    for (int64_t c = 0; c < dims.channels; ++c) dot += d_out[i * dims.channels + c] * out[i * dims.channels + c];
    terms.dot[i] = dot;
  }
  if (targets.end == layout.positions) {
    for (int64_t i = layout.positions; i < layout.padded; ++i) {
      terms.highest[i] = terms.inverse_sum[i] = terms.dot[i] = 0.0f;
    }
  }
}

}  // namespace

int64_t psa_workspace_bytes(const CpuContext& ctx, const PsaDims& dims) {
  return Layout(ctx, dims).floats() * static_cast<int64_t>(sizeof(float));
}

void psa_forward(CpuContext& ctx, const PsaDims& dims, const float* value, const float* logits, float* out,
                 float* statistics, void* workspace) {
  const Layout layout(ctx, dims);
  const PsaPairs pairs(dims);
  const int64_t image_floats = layout.positions * dims.channels;
  const int64_t image_logits = layout.positions * dims.logit_channels();

  parallel_blocks(ctx, dims.batch * layout.by_channel.count(), [&](int64_t task) {
    const int64_t image = task / layout.by_channel.count(), panel = task % layout.by_channel.count();
    pack_panel(layout.by_channel, panel, value + image * image_floats, layout.packed_by_channel(workspace, image));
  });

  parallel_tasks(ctx, dims.batch * layout.blocks, [&](int64_t task, int64_t thread) {
    const int64_t image = task / layout.blocks;
    const Range targets = block_range(task % layout.blocks, kBlock, layout.positions);
    const int64_t rows = targets.end - targets.begin;
    float* tile = layout.tiles(workspace, thread);
    if (dims.mode == PsaMode::collect) {
      pairs.gather_owners(logits + image * image_logits, targets, tile, layout.padded);
    } else {
      pairs.gather_partners(logits + image * image_logits, targets, tile, layout.padded);
    }
    float factor[kBlock];
    for (int64_t r = 0; r < rows; ++r) {
      factor[r] = dims.scale;
      if (!dims.softmax) continue;
      float* row = tile + r * layout.padded;
      std::fill(row + layout.positions, row + layout.padded, std::numeric_limits<float>::lowest());
      const float highest = largest(row, layout.padded), sum = exponentials(row, layout.padded, highest, kNegligible);
      factor[r] = dims.scale / sum;
      if (statistics == nullptr) continue;
      float* to = statistics + (image * layout.positions + targets.begin + r) * 2;
      to[0] = highest;
      to[1] = sum;
    }
    multiply(
        {tile, layout.padded, rows, factor, out + image * image_floats + targets.begin * dims.channels, dims.channels},
        layout.by_channel, layout.packed_by_channel(workspace, image));
  });
}

void psa_backward(CpuContext& ctx, const PsaDims& dims, const float* value, const float* logits, const float* out,
                  const float* statistics, const float* d_out, float* d_value, float* d_logits, void* workspace) {
  const Layout layout(ctx, dims);
  const PsaPairs pairs(dims);
  const int64_t image_floats = layout.positions * dims.channels;
  const int64_t image_logits = layout.positions * dims.logit_channels();
  const bool sources_own = dims.mode == PsaMode::distribute;

  const int64_t channel_panels = layout.by_channel.count(), panels = channel_panels + layout.by_position.count();
  const int64_t parts = panels + layout.blocks;
  parallel_blocks(ctx, dims.batch * parts, [&](int64_t task) {
    const int64_t image = task / parts, part = task % parts;
    const float* g = d_out + image * image_floats;
    if (part < channel_panels) {
      pack_panel(layout.by_channel, part, g, layout.packed_by_channel(workspace, image));
    } else if (part < panels) {
      pack_panel_transposed(layout.by_position, part - channel_panels, g, layout.packed_by_position(workspace, image));
    } else if (dims.softmax) {
      target_terms(dims, layout, block_range(part - panels, kBlock, layout.positions), out + image * image_floats,
                   statistics + image * layout.positions * 2, g, layout.terms(workspace, image));
    }
  });
  // With sources as owners their tasks write all entries; else entries of an owner are written by many tasks, and what
  // no task writes must be cleared.
  if (!sources_own) {
    parallel_elements(ctx, dims.batch * image_logits,
                      [&](int64_t begin, int64_t end) { std::fill(d_logits + begin, d_logits + end, 0.0f); });
  }

  float factor[kBlock];
  std::fill_n(factor, kBlock, dims.scale);
  parallel_tasks(ctx, dims.batch * layout.blocks, [&](int64_t task, int64_t thread) {
    const int64_t image = task / layout.blocks;
    const Range sources = block_range(task % layout.blocks, kBlock, layout.positions);
    const int64_t rows = sources.end - sources.begin;
    const TargetTerms terms = layout.terms(workspace, image);
    float* weights = layout.tiles(workspace, thread);
    float* gradient = weights + layout.tile;

    if (sources_own) {
      pairs.gather_owners(logits + image * image_logits, sources, weights, layout.padded);
    } else {
      pairs.gather_partners(logits + image * image_logits, sources, weights, layout.padded);
    }
    for (int64_t r = 0; r < rows && dims.softmax; ++r) {
      std::fill(weights + r * layout.padded + layout.positions, weights + (r + 1) * layout.padded, 0.0f);
      weights_of_source(terms, layout.padded, weights + r * layout.padded);
    }
    const int64_t first = image * image_floats + sources.begin * dims.channels;
    multiply({weights, layout.padded, rows, factor, d_value + first, dims.channels}, layout.by_channel,
             layout.packed_by_channel(workspace, image));
    multiply({value + first, dims.channels, rows, factor, gradient, layout.padded}, layout.by_position,
             layout.packed_by_position(workspace, image));
    for (int64_t r = 0; r < rows && dims.softmax; ++r) {
      through_softmax(terms, layout.padded, weights + r * layout.padded, gradient + r * layout.padded);
    }
    if (sources_own) {
      pairs.scatter_owners(gradient, layout.padded, sources, d_logits + image * image_logits);
    } else {
      pairs.scatter_partners(gradient, layout.padded, sources, d_logits + image * image_logits);
    }
  });
}

}  // namespace psanet::kernels
