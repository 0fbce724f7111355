// Convolution and its two gradients, each from the one sum that defines all three.
#include "layers/conv2d.h"
#include "tests/support/references/families.h"

namespace psanet::tests::references {

namespace {

/// Calls f(place of x, place of w, place of y) for every product x * w that goes into y.
template <class F>
void every_product(const Shape& x, const Shape& w, const Shape& y, Size2 stride, Size2 padding, Size2 dilation, F f) {
  for (int64_t n = 0; n < y[0]; ++n)
    for (int64_t oh = 0; oh < y[1]; ++oh)
      for (int64_t ow = 0; ow < y[2]; ++ow)
        for (int64_t kh = 0; kh < w[1]; ++kh)
          for (int64_t kw = 0; kw < w[2]; ++kw) {
            const int64_t h = oh * stride.h - padding.h + kh * dilation.h;
            const int64_t v = ow * stride.w - padding.w + kw * dilation.w;
            if (h < 0 || h >= x[1] || v < 0 || v >= x[2]) continue;
            for (int64_t oc = 0; oc < y[3]; ++oc)
              for (int64_t ic = 0; ic < x[3]; ++ic) {
                f(((n * x[1] + h) * x[2] + v) * x[3] + ic, ((oc * w[1] + kh) * w[2] + kw) * w[3] + ic,
                  ((n * y[1] + oh) * y[2] + ow) * y[3] + oc);
              }
          }
}

int64_t out_size(int64_t in, int64_t kernel, int64_t stride, int64_t padding, int64_t dilation) {
  return (in + 2 * padding - dilation * (kernel - 1) - 1) / stride + 1;
}

}  // namespace

HostTensors conv2d(const Op& op, const HostTensors& in) {
  const auto& conv = *op.as<layers::Conv2d>();
  const HostTensor &x = in[0], &w = in[1];
  HostTensor y(f32({x[0], out_size(x[1], w[1], conv.stride.h, conv.padding.h, conv.dilation.h),
                    out_size(x[2], w[2], conv.stride.w, conv.padding.w, conv.dilation.w), w[0]}));
  every_product(x.type.shape, w.type.shape, y.type.shape, conv.stride, conv.padding, conv.dilation,
                [&](int64_t i, int64_t j, int64_t k) { y.at(k) += x.at(i) * w.at(j); });
  for (int64_t i = 0; i < y.type.elements(); ++i) {
    if (conv.bias) y.at(i) += in[2].at(i % w[0]);
    if (conv.residual) y.at(i) += in.back().at(i);
    if (conv.relu && y.at(i) < 0) y.at(i) = 0;
  }
  return {y};
}

HostTensors conv2d_backward_data(const Op& op, const HostTensors& in) {
  const auto& conv = *op.as<layers::Conv2dBackwardData>();
  const HostTensor &d_y = in[0], &w = in[1];
  HostTensor d_x(f32(conv.input));
  every_product(d_x.type.shape, w.type.shape, d_y.type.shape, conv.forward.stride, conv.forward.padding,
                conv.forward.dilation, [&](int64_t i, int64_t j, int64_t k) { d_x.at(i) += d_y.at(k) * w.at(j); });
  return {d_x};
}

HostTensors conv2d_backward_weights(const Op& op, const HostTensors& in) {
  const auto& conv = *op.as<layers::Conv2dBackwardWeights>();
  const HostTensor &x = in[0], &d_y = in[1];
  HostTensor d_w(f32(conv.weight));
  every_product(x.type.shape, d_w.type.shape, d_y.type.shape, conv.forward.stride, conv.forward.padding,
                conv.forward.dilation, [&](int64_t i, int64_t j, int64_t k) { d_w.at(j) += d_y.at(k) * x.at(i); });
  return {d_w};
}

References convolution() {
  return {
      {"conv2d", conv2d},
      {"conv2d_backward_data", conv2d_backward_data},
      {"conv2d_backward_weights", conv2d_backward_weights},
  };
}

}  // namespace psanet::tests::references
