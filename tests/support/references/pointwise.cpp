// One value in, one value out; rows; the optimiser.
#include <algorithm>
#include <cmath>

#include "layers/accumulate.h"
#include "layers/arithmetic.h"
#include "layers/cast.h"
#include "layers/dropout2d.h"
#include "layers/sgd.h"
#include "tests/support/references/families.h"

namespace psanet::tests::references {

namespace {
template <class F>
HostTensors each(const HostTensor& like, F f) {
  HostTensor y(like.type);
  for (int64_t i = 0; i < like.type.elements(); ++i) y.at(i) = f(i);
  return {y};
}
}  // namespace

HostTensors add(const Op&, const HostTensors& in) {
  return each(in[0], [&](int64_t i) { return in[0].at(i) + in[1].at(i); });
}

/// Rounding to 8 significant bits, ties to even; what is too small for a normal number loses more.
HostTensors cast(const Op& op, const HostTensors& in) {
  HostTensor y(Type{op.as<layers::Cast>()->to, in[0].type.shape});
  for (int64_t i = 0; i < in[0].type.elements(); ++i) {
    int exponent = 0;
    std::frexp(in[0].at(i), &exponent);
    const double unit = std::ldexp(1.0, std::max(exponent, -125) - 8);
    y.at(i) = y.type.dtype == DType::bf16 ? std::nearbyint(in[0].at(i) / unit) * unit : in[0].at(i);
  }
  return {y};
}

HostTensors scale(const Op& op, const HostTensors& in) {
  const double factor = op.as<layers::Scale>()->factor;
  return each(in[0], [&](int64_t i) { return factor * in[0].at(i); });
}

HostTensors scale_by(const Op&, const HostTensors& in) {
  return each(in[0], [&](int64_t i) { return in[1].at(0) * in[0].at(i); });
}

HostTensors divide_or_zero(const Op&, const HostTensors& in) {
  return each(in[0], [&](int64_t i) { return in[1].at(i) == 0 ? 0 : in[0].at(i) / in[1].at(i); });
}

HostTensors relu(const Op&, const HostTensors& in) {
  return each(in[0], [&](int64_t i) { return std::max(in[0].at(i), 0.0); });
}

HostTensors relu_backward(const Op&, const HostTensors& in) {
  return each(in[0], [&](int64_t i) { return in[0].at(i) > 0 ? in[1].at(i) : 0; });
}

HostTensors sigmoid(const Op&, const HostTensors& in) {
  return each(in[0], [&](int64_t i) { return 1 / (1 + std::exp(-in[0].at(i))); });
}

HostTensors bias_backward(const Op&, const HostTensors& in) {
  const int64_t channels = in[0][-1];
  HostTensor d_bias(f32({channels}));
  for (int64_t i = 0; i < in[0].type.elements(); ++i) d_bias.at(i % channels) += in[0].at(i);
  return {d_bias};
}

HostTensors softmax(const Op&, const HostTensors& in) {
  const int64_t channels = in[0][-1];
  HostTensor y(in[0].type);
  for (int64_t row = 0; row < in[0].type.elements(); row += channels) {
    double most = in[0].at(row), sum = 0;
    for (int64_t c = 0; c < channels; ++c) most = std::max(most, in[0].at(row + c));
    for (int64_t c = 0; c < channels; ++c) sum += std::exp(in[0].at(row + c) - most);
    for (int64_t c = 0; c < channels; ++c) y.at(row + c) = std::exp(in[0].at(row + c) - most) / sum;
  }
  return {y};
}

HostTensors softmax_backward(const Op&, const HostTensors& in) {
  const int64_t channels = in[0][-1];
  HostTensor d_x(in[0].type);
  for (int64_t row = 0; row < in[0].type.elements(); row += channels) {
    for (int64_t i = 0; i < channels; ++i) {
      // d y_j / d x_i = y_j * ((i == j) - y_i)
      for (int64_t j = 0; j < channels; ++j) {
        d_x.at(row + i) += in[1].at(row + j) * in[0].at(row + j) * ((i == j ? 1.0 : 0.0) - in[0].at(row + i));
      }
    }
  }
  return {d_x};
}

HostTensors channel_scale(const Op&, const HostTensors& in) {
  HostTensor y(in[0].type);
  for (int64_t n = 0; n < y[0]; ++n)
    for (int64_t h = 0; h < y[1]; ++h)
      for (int64_t w = 0; w < y[2]; ++w)
        for (int64_t c = 0; c < y[3]; ++c) y.at(n, h, w, c) = in[0].at(n, h, w, c) * in[1].at(n * y[3] + c);
  return {y};
}

namespace {

/// Philox 4x32 with 10 rounds (Salmon et al., 2011): the first of the four results.
uint32_t philox(uint32_t c0, uint32_t c1, uint32_t c2, uint32_t c3, uint64_t key) {
  auto k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = uint64_t{0xD2511F53} * c0, b = uint64_t{0xCD9E8D57} * c2;
    const auto n0 = static_cast<uint32_t>(b >> 32) ^ c1 ^ k0, n2 = static_cast<uint32_t>(a >> 32) ^ c3 ^ k1;
    c1 = static_cast<uint32_t>(b);
    c3 = static_cast<uint32_t>(a);
    c0 = n0;
    c2 = n2;
    k0 += 0x9E3779B9;
    k1 += 0xBB67AE85;
  }
  return c0;
}

}  // namespace

HostTensors dropout_factors(const Op& op, const HostTensors& in) {
  const auto& dropout = *op.as<layers::DropoutFactors>();
  const auto seed = static_cast<uint64_t>(static_cast<int64_t>(in[0].at(0)));
  const auto step = static_cast<uint64_t>(static_cast<int64_t>(in[0].at(1)));
  HostTensor factors(f32({dropout.batch, dropout.channels}));
  for (int64_t i = 0; i < factors.type.elements(); ++i) {
    const uint32_t draw = philox(static_cast<uint32_t>(i), 0, static_cast<uint32_t>(step),
                                 static_cast<uint32_t>(step >> 32), seed ^ static_cast<uint64_t>(dropout.salt));
    const bool kept = static_cast<double>(draw >> 8) / 16777216.0 >= dropout.probability;
    factors.at(i) = kept ? 1 / (1 - dropout.probability) : 0;
  }
  return {factors};
}

HostTensors accumulate(const Op&, const HostTensors& in) {
  HostTensors updated;
  for (size_t t = 0; t < in.size(); t += 2) {
    HostTensor sum = in[t + 1];
    for (int64_t i = 0; i < sum.type.elements(); ++i) sum.at(i) += in[t].at(i);
    updated.push_back(sum);
  }
  return updated;
}

HostTensors clear(const Op&, const HostTensors& in) {
  HostTensors updated = in;
  for (HostTensor& tensor : updated) std::fill(tensor.values.begin(), tensor.values.end(), 0.0);
  return updated;
}

HostTensors sgd(const Op& op, const HostTensors& in) {
  const auto& rule = *op.as<layers::Sgd>();
  HostTensors updated;  // parameter and momentum of each tensor in turn, then copies
  for (size_t t = 0; t < rule.rate_factor.size(); ++t) {
    const size_t first = rule.first_tensor() + 3 * t;
    HostTensor w = in[first], v = in[first + 1];
    const HostTensor& g = in[first + 2];
    const bool skipped = rule.guarded && !std::isfinite(static_cast<float>(in[1].at(0)));
    for (int64_t i = 0; !skipped && i < w.type.elements(); ++i) {
      v.at(i) = rule.momentum * v.at(i) + g.at(i) + rule.weight_decay[t] * w.at(i);
      w.at(i) -= in[0].at(0) * rule.rate_factor[t] * v.at(i);
    }
    updated.push_back(w);
    updated.push_back(v);
  }
  for (double t : rule.copied) {
    const HostTensor& w = updated[2 * static_cast<size_t>(t)];
    updated.push_back(cast(Op(layers::Cast{DType::bf16}), {w})[0]);
  }
  return updated;
}

References pointwise() {
  return {
      {"add", add},
      {"scale", scale},
      {"scale_by", scale_by},
      {"divide_or_zero", divide_or_zero},
      {"cast", cast},
      {"relu", relu},
      {"relu_backward", relu_backward},
      {"sigmoid", sigmoid},
      {"bias_backward", bias_backward},
      {"softmax", softmax},
      {"softmax_backward", softmax_backward},
      {"channel_scale", channel_scale},
      {"dropout_factors", dropout_factors},
      {"accumulate", accumulate},
      {"clear", clear},
      {"sgd", sgd},
  };
}

}  // namespace psanet::tests::references
