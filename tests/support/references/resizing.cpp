// Bilinear resize and what ends in one: arg max, cross entropy. And the confusion counts of what comes out.
#include <algorithm>
#include <cmath>

#include "layers/cross_entropy.h"
#include "layers/resize.h"
#include "layers/resize_taps.h"
#include "tests/support/references/families.h"

namespace psanet::tests::references {

namespace {

/// A result place lies between source places `low` and `high`, at share `t` of the way.
struct Tap {
  int64_t low = 0, high = 0;
  double t = 0;
};

Tap tap(int64_t i, int64_t in, int64_t out, bool align_corners) {
  double source;
  if (align_corners) {
    source = out == 1 ? 0 : static_cast<double>(i * (in - 1)) / static_cast<double>(out - 1);
  } else {
    source = std::max(0.0, (static_cast<double>(i) + 0.5) * static_cast<double>(in) / static_cast<double>(out) - 0.5);
  }
  source = std::min(source, static_cast<double>(in - 1));
  const auto low = static_cast<int64_t>(source);
  return {low, std::min(low + 1, in - 1), source - static_cast<double>(low)};
}

/// Calls f(row, column, weight) for the four sources of a result place.
template <class F>
void every_corner(Tap h, Tap w, F f) {
  f(h.low, w.low, (1 - h.t) * (1 - w.t));
  f(h.low, w.high, (1 - h.t) * w.t);
  f(h.high, w.low, h.t * (1 - w.t));
  f(h.high, w.high, h.t * w.t);
}

HostTensor resized(const HostTensor& x, int64_t height, int64_t width, bool align_corners) {
  HostTensor y(f32({x[0], height, width, x[3]}));
  for (int64_t n = 0; n < x[0]; ++n)
    for (int64_t h = 0; h < height; ++h)
      for (int64_t w = 0; w < width; ++w)
        for (int64_t c = 0; c < x[3]; ++c) {
          every_corner(tap(h, x[1], height, align_corners), tap(w, x[2], width, align_corners),
                       [&](int64_t i, int64_t j, double weight) { y.at(n, h, w, c) += weight * x.at(n, i, j, c); });
        }
  return y;
}

}  // namespace

HostTensors resize(const Op& op, const HostTensors& in) {
  const auto& size = *op.as<layers::Resize>();
  return {resized(in[0], size.height, size.width, size.align_corners)};
}

HostTensors resize_taps(const Op& op, const HostTensors& in) {
  const auto& o = *op.as<layers::ResizeTaps>();
  const int64_t taps = o.kernel.h * o.kernel.w, channels = in[0][3] / taps;
  HostTensor y(f32({in[0][0], o.height, o.width, channels}));
  if (o.base) y = in[1];
  const HostTensor large = resized(in[0], o.height, o.width, o.align_corners);
  for (int64_t n = 0; n < y[0]; ++n)
    for (int64_t h = 0; h < y[1]; ++h)
      for (int64_t w = 0; w < y[2]; ++w)
        for (int64_t kh = 0; kh < o.kernel.h; ++kh)
          for (int64_t kw = 0; kw < o.kernel.w; ++kw) {
            const int64_t i = h + (kh - o.kernel.h / 2) * o.dilation.h, j = w + (kw - o.kernel.w / 2) * o.dilation.w;
            if (i < 0 || i >= y[1] || j < 0 || j >= y[2]) continue;
            for (int64_t c = 0; c < channels; ++c) {
              y.at(n, h, w, c) += large.at(n, i, j, (kh * o.kernel.w + kw) * channels + c);
            }
          }
  return {y};
}

HostTensors resize_argmax(const Op& op, const HostTensors& in) {
  const auto& size = *op.as<layers::ResizeArgmax>();
  const HostTensor y = resized(in[0], size.height, size.width, size.align_corners);
  HostTensor labels(Type{DType::u8, {y[0], y[1], y[2]}});
  for (int64_t p = 0; p < labels.type.elements(); ++p) {
    int64_t best = 0;
    for (int64_t c = 1; c < y[3]; ++c) {
      if (y.at(p * y[3] + c) > y.at(p * y[3] + best)) best = c;
    }
    labels.at(p) = static_cast<double>(best);
  }
  return {labels};
}

HostTensors resize_cross_entropy(const Op& op, const HostTensors& in) {
  const auto& loss = *op.as<layers::ResizeCrossEntropy>();
  const HostTensor &x = in[0], &label = in[1];
  const int64_t height = label[1], width = label[2], classes = x[3];
  const HostTensor y = resized(x, height, width, loss.align_corners);
  HostTensor sum(f32({1})), valid(f32({1})), d_x(x.type);
  for (int64_t n = 0; n < x[0]; ++n)
    for (int64_t h = 0; h < height; ++h)
      for (int64_t w = 0; w < width; ++w) {
        const auto truth = static_cast<int64_t>(label.at((n * height + h) * width + w));
        if (truth == loss.ignore || truth >= classes) continue;
        double most = -HUGE_VAL, total = 0;
        for (int64_t c = 0; c < classes; ++c) most = std::max(most, y.at(n, h, w, c));
        for (int64_t c = 0; c < classes; ++c) total += std::exp(y.at(n, h, w, c) - most);
        sum.at(0) += most + std::log(total) - y.at(n, h, w, truth);
        valid.at(0) += 1;
        for (int64_t c = 0; c < classes; ++c) {
          const double d_y = std::exp(y.at(n, h, w, c) - most) / total - (c == truth ? 1 : 0);
          every_corner(tap(h, x[1], height, loss.align_corners), tap(w, x[2], width, loss.align_corners),
                       [&](int64_t i, int64_t j, double weight) { d_x.at(n, i, j, c) += weight * d_y; });
        }
      }
  return {sum, valid, d_x};
}

HostTensors confusion_counts(const Op& op, const HostTensors& in) {
  const auto& counts = *op.as<layers::ConfusionCounts>();
  HostTensor table(Type{DType::i64, {counts.classes, counts.classes}});
  for (int64_t p = 0; p < in[0].type.elements(); ++p) {
    const auto predicted = static_cast<int64_t>(in[0].at(p)), truth = static_cast<int64_t>(in[1].at(p));
    if (truth == counts.ignore || truth >= counts.classes) continue;
    table.at(truth * counts.classes + predicted) += 1;
  }
  return {table};
}

References resizing() {
  return {
      {"resize", resize},
      {"resize_taps", resize_taps},
      {"resize_argmax", resize_argmax},
      {"resize_cross_entropy", resize_cross_entropy},
      {"confusion_counts", confusion_counts},
  };
}

}  // namespace psanet::tests::references
