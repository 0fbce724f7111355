// Shapes of real size, where blocks, panels and tails all occur, against plain loops in float64.
#include "kernels/conv2d.h"
#include "kernels/loss.h"
#include "kernels/matmul.h"
#include "kernels/psa.h"
#include "tests/kernels/support.h"
#include "tests/support/catch.h"

namespace psanet::tests {

using namespace kernels;
using Doubles = std::vector<double>;

namespace {

/// Logit of source j at target i, with its place in the image's logits (-1: outside the mask).
int64_t logit_place(const PsaDims& d, int64_t i, int64_t j) {
  const int64_t owner = d.mode == PsaMode::collect ? i : j, partner = d.mode == PsaMode::collect ? j : i;
  if (d.compact) return owner * d.positions() + partner;
  const int64_t a = (d.mask_h - 1) / 2 + partner / d.width - owner / d.width;
  const int64_t b = (d.mask_w - 1) / 2 + partner % d.width - owner % d.width;
  if (a < 0 || a >= d.mask_h || b < 0 || b >= d.mask_w) return -1;
  return owner * d.logit_channels() + a * d.mask_w + b;
}

struct PsaResult {
  Doubles out, d_value, d_logits;
};

PsaResult psa_loop(const PsaDims& d, const Floats& value, const Floats& logits, const Floats& d_out) {
  const int64_t count = d.positions(), channels = d.channels;
  PsaResult r{Doubles(value.size()), Doubles(value.size()), Doubles(logits.size())};
  for (int64_t n = 0; n < d.batch; ++n) {
    const int64_t at_value = n * count * channels, at_logits = n * count * d.logit_channels();
    for (int64_t i = 0; i < count; ++i) {
      Doubles p(static_cast<size_t>(count)), d_p(p.size());
      double highest = -HUGE_VAL, sum = 0, mean = 0;
      for (int64_t j = 0; j < count; ++j) {
        const int64_t place = logit_place(d, i, j);
        p[j] = place < 0 ? 0 : static_cast<double>(logits[at_logits + place]);
        highest = std::max(highest, p[j]);
      }
      if (d.softmax) {
        for (double& v : p) sum += v = std::exp(v - highest);
        for (double& v : p) v /= sum;
      }
      for (int64_t j = 0; j < count; ++j) {
        for (int64_t c = 0; c < channels; ++c) {
          const double v = value[at_value + j * channels + c], g = d_out[at_value + i * channels + c];
          r.out[at_value + i * channels + c] += d.scale * p[j] * v;
          r.d_value[at_value + j * channels + c] += d.scale * p[j] * g;
          d_p[j] += d.scale * v * g;
        }
        mean += p[j] * d_p[j];
      }
      for (int64_t j = 0; j < count; ++j) {
        const int64_t place = logit_place(d, i, j);
        if (place >= 0) r.d_logits[at_logits + place] = d.softmax ? p[j] * (d_p[j] - mean) : d_p[j];
      }
    }
  }
  return r;
}

}  // namespace

TEST_CASE("PSA of real size is what the loops say") {
  std::vector<PsaDims> all;
  for (auto mode : {PsaMode::collect, PsaMode::distribute}) {
    all.push_back({1, 17, 15, 72, 33, 29, mode});                            // the full mask
    all.push_back({2, 15, 13, 50, 9, 11, mode, false, true, 0.25f});         // a part of it
    all.push_back({1, 12, 14, 33, 8, 6, mode});                              // even sizes
    all.push_back({1, 9, 12, 96, 31, 41, mode});                             // more than the full mask
    all.push_back({2, 13, 11, 40, 0, 0, mode, true});                        // compact
    all.push_back({1, 15, 13, 17, 29, 25, mode, false, false, 1 / 725.0f});  // no softmax
    all.push_back({3, 1, 1, 1, 1, 1, mode});
    all.push_back({1, 1, 40, 3, 1, 3, mode});
  }
  CpuContext ctx(2);
  for (const PsaDims& d : all) {
    CAPTURE(d.batch, d.height, d.width, d.channels, d.mask_h, d.mask_w, d.compact, d.softmax, d.mode);
    const int64_t count = d.batch * d.positions();
    const Floats value = numbers(count * d.channels, 1), logits = numbers(count * d.logit_channels(), 2, 4);
    const Floats d_out = numbers(count * d.channels, 3);
    const PsaResult wanted = psa_loop(d, value, logits, d_out);
    Floats out(value.size()), d_value(value.size()), d_logits(logits.size(), std::nanf(""));
    Floats statistics(static_cast<size_t>(2 * count));
    const Workspace workspace(ctx, psa_workspace_bytes(ctx, d));
    psa_forward(ctx, d, value.data(), logits.data(), out.data(), statistics.data(), workspace);
    CHECK(difference(out, wanted.out, 3e-6, 1e-5) == "");
    const Workspace other(ctx, psa_workspace_bytes(ctx, d));  // nothing may be kept from the forward pass
    psa_backward(ctx, d, value.data(), logits.data(), out.data(), statistics.data(), d_out.data(), d_value.data(),
                 d_logits.data(), other);
    CHECK(difference(d_value, wanted.d_value, 1e-5, 1e-5) == "");
    CHECK(difference(d_logits, wanted.d_logits, 1e-5, 1e-5) == "");
  }
}

TEST_CASE("a convolution with bias, residual and ReLU is what the loops say") {
  CpuContext ctx(2);
  for (const Conv2dDims& d :
       {Conv2dDims{2, 19, 23, 3, 20, 3, 3, 2, 2, 1, 1}, Conv2dDims{1, 17, 11, 40, 33, 3, 3, 1, 1, 2, 2, 2, 2},
        Conv2dDims{2, 9, 9, 65, 5, 1, 1}, Conv2dDims{1, 8, 30, 16, 48, 1, 5, 1, 2, 0, 2, 1, 1},
        Conv2dDims{1, 1, 1, 7, 150, 1, 1}}) {
    const int64_t outputs = d.batch * d.out_h() * d.out_w() * d.out_channels;
    const Floats x = numbers(d.batch * d.in_h * d.in_w * d.in_channels, 1);
    const Floats w = numbers(d.out_channels * d.kernel_h * d.kernel_w * d.in_channels, 2);
    const Floats bias = numbers(d.out_channels, 3), residual = numbers(outputs, 4);
    Doubles conv(static_cast<size_t>(outputs));
    for (int64_t o = 0; o < outputs; ++o) {
      const int64_t oc = o % d.out_channels, ow = o / d.out_channels % d.out_w();
      const int64_t oh = o / d.out_channels / d.out_w() % d.out_h(), n = o / d.out_channels / d.out_w() / d.out_h();
      for (int64_t kh = 0; kh < d.kernel_h; ++kh) {
        for (int64_t kw = 0; kw < d.kernel_w; ++kw) {
          const int64_t h = oh * d.stride_h - d.pad_h + kh * d.dilation_h;
          const int64_t v = ow * d.stride_w - d.pad_w + kw * d.dilation_w;
          if (h < 0 || h >= d.in_h || v < 0 || v >= d.in_w) continue;
          for (int64_t ic = 0; ic < d.in_channels; ++ic) {
            conv[o] += static_cast<double>(x[((n * d.in_h + h) * d.in_w + v) * d.in_channels + ic]) *
                       w[((oc * d.kernel_h + kh) * d.kernel_w + kw) * d.in_channels + ic];
          }
        }
      }
    }
    for (int which = 0; which < 8; ++which) {
      const Conv2dEpilogue e{(which & 1) != 0, (which & 2) != 0, (which & 4) != 0};
      CAPTURE(d.in_channels, d.out_channels, e.bias, e.residual, e.relu);
      Doubles wanted = conv;
      for (int64_t o = 0; o < outputs; ++o) {
        if (e.bias) wanted[o] += bias[o % d.out_channels];
        if (e.residual) wanted[o] += residual[o];
        if (e.relu) wanted[o] = std::max(wanted[o], 0.0);
      }
      Floats y(wanted.size());
      const auto forward = prepare_conv2d_forward(ctx, d, e);
      const Workspace workspace(ctx, forward->workspace_bytes());
      for (int twice = 0; twice < 2; ++twice) {
        std::fill(y.begin(), y.end(), std::nanf(""));
        forward->run(x.data(), w.data(), e.bias ? bias.data() : nullptr, e.residual ? residual.data() : nullptr,
                     y.data(), workspace);
        CHECK(difference(y, wanted, 5e-5, 1e-5) == "");
      }
    }
  }
}

TEST_CASE("matrix products of every kind are what the loops say") {
  CpuContext ctx(2);
  for (int which = 0; which < 16; ++which) {
    const MatmulDims d{which % 3 + 1,
                       which < 8 ? 37 : 5,
                       61,
                       which < 8 ? 45 : 1100,
                       (which & 1) != 0,
                       (which & 2) != 0,
                       (which & 4) != 0 ? 0.125f : 1.0f};
    CAPTURE(d.batch, d.transpose_a, d.transpose_b, d.scale);
    const Floats a = numbers(d.batch * d.m * d.k, 1), b = numbers(d.batch * d.k * d.n, 2);
    Doubles wanted(static_cast<size_t>(d.batch * d.m * d.n));
    for (int64_t n = 0; n < d.batch; ++n) {
      for (int64_t i = 0; i < d.m; ++i) {
        for (int64_t j = 0; j < d.n; ++j) {
          for (int64_t k = 0; k < d.k; ++k) {
            const double left = a[n * d.m * d.k + (d.transpose_a ? k * d.m + i : i * d.k + k)];
            const double right = b[n * d.k * d.n + (d.transpose_b ? j * d.k + k : k * d.n + j)];
            wanted[(n * d.m + i) * d.n + j] += static_cast<double>(d.scale) * left * right;
          }
        }
      }
    }
    Floats c(wanted.size());
    const auto matmul = prepare_matmul(ctx, d);
    const Workspace workspace(ctx, matmul->workspace_bytes());
    matmul->run(a.data(), b.data(), c.data(), workspace);
    CHECK(difference(c, wanted, 5e-5, 1e-5) == "");
  }
}

TEST_CASE("resize + cross entropy and arg max of real size are the resized map's own") {
  CpuContext ctx(2);
  for (const ResizeDims& d : {ResizeDims{2, 9, 13, 37, 65, 97, true}, ResizeDims{1, 9, 9, 150, 9, 9, true},
                              ResizeDims{1, 8, 11, 16, 61, 83, false}, ResizeDims{2, 31, 20, 5, 9, 7, false},
                              ResizeDims{1, 1, 1, 4, 17, 3, true}, ResizeDims{1, 12, 7, 1, 1, 20, true}}) {
    CAPTURE(d.in_h, d.in_w, d.channels, d.out_h, d.out_w, d.align_corners);
    const int64_t pixels = d.batch * d.out_h * d.out_w, classes = d.channels;
    const Floats logits = numbers(d.batch * d.in_h * d.in_w * classes, 1, 6);
    const auto label = labels(pixels, static_cast<int>(classes), 2);
    Floats resized(static_cast<size_t>(pixels * classes)), d_resized(resized.size());
    resize_forward(ctx, d, logits.data(), resized.data());

    double loss = 0;
    int64_t valid = 0, clear = 0, wrong = 0;
    std::vector<uint8_t> found(static_cast<size_t>(pixels));
    resize_argmax(ctx, d, logits.data(), found.data());
    for (int64_t p = 0; p < pixels; ++p) {
      const float* x = resized.data() + p * classes;
      const int64_t best = std::max_element(x, x + classes) - x;
      float second = -1e30f;
      for (int64_t c = 0; c < classes; ++c) second = c == best ? second : std::max(second, x[c]);
      if (x[best] - second > 1e-4f) {  // closer ones may be told apart by rounding
        ++clear;
        wrong += found[p] != best;
      }
      if (label[p] == 255) continue;
      double sum = 0;
      for (int64_t c = 0; c < classes; ++c) sum += std::exp(static_cast<double>(x[c]) - x[best]);
      loss += std::log(sum) + static_cast<double>(x[best]) - x[label[p]];
      ++valid;
      for (int64_t c = 0; c < classes; ++c) {
        const double probability = std::exp(static_cast<double>(x[c]) - x[best]) / sum;
        d_resized[p * classes + c] = static_cast<float>(probability - (c == label[p] ? 1 : 0));
      }
    }
    CHECK(wrong == 0);
    CHECK(clear > pixels / 2);

    Floats wanted(logits.size()), d_logits(logits.size(), std::nanf(""));
    resize_backward(ctx, d, d_resized.data(), wanted.data());
    float loss_sum = 0, count = 0, loss_only = 0;
    const Workspace workspace(ctx, resize_cross_entropy_workspace_bytes(ctx, d));
    resize_cross_entropy(ctx, d, 255, logits.data(), label.data(), &loss_sum, &count, d_logits.data(), workspace);
    CHECK(loss_sum == Approx(loss).epsilon(1e-5));
    CHECK(count == static_cast<float>(valid));
    CHECK(difference(d_logits, wanted, 2e-5, 1e-5) == "");
    resize_cross_entropy(ctx, d, 255, logits.data(), label.data(), &loss_only, &count, nullptr, workspace);
    CHECK(loss_only == loss_sum);
  }
}

}  // namespace psanet::tests
