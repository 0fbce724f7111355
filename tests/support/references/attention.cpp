// Point-wise spatial attention, word by word as SPEC 1 has it.
#include <algorithm>
#include <cmath>

#include "layers/conv2d.h"
#include "layers/psa_projected.h"
#include "tests/support/references/families.h"

namespace psanet::tests::references {

namespace {

/// h_i's entry for the position dr rows below and dc columns right of i, or 0 if there is no such entry.
double score(const layers::Psa& psa, const HostTensor& logits, int64_t n, int64_t i, int64_t dr, int64_t dc) {
  const int64_t row = (psa.mask_h - 1) / 2 + dr, column = (psa.mask_w - 1) / 2 + dc;
  if (row < 0 || row >= psa.mask_h || column < 0 || column >= psa.mask_w) return 0;
  const int64_t positions = logits[1] * logits[2];
  return logits.at((n * positions + i) * logits[3] + row * psa.mask_w + column);
}

/// The logit of source j at target i.
double logit(const layers::Psa& psa, const HostTensor& logits, int64_t n, int64_t i, int64_t j) {
  const int64_t width = logits[2], positions = logits[1] * width;
  const bool collect = psa.mode == layers::PsaMode::collect;
  const int64_t owner = collect ? i : j, other = collect ? j : i;
  if (psa.compact) return logits.at((n * positions + owner) * positions + other);
  return score(psa, logits, n, owner, other / width - owner / width, other % width - owner % width);
}

}  // namespace

HostTensors psa(const Op& op, const HostTensors& in) {
  const auto& psa = *op.as<layers::Psa>();
  const HostTensor &value = in[0], &logits = in[1];
  const int64_t positions = value[1] * value[2], channels = value[3];
  HostTensor out(value.type), statistics(f32({value[0], positions, 2}));
  std::vector<double> weights(static_cast<size_t>(positions));
  for (int64_t n = 0; n < value[0]; ++n)
    for (int64_t i = 0; i < positions; ++i) {
      for (int64_t j = 0; j < positions; ++j) weights[static_cast<size_t>(j)] = logit(psa, logits, n, i, j);
      if (psa.softmax) {
        const double most = *std::max_element(weights.begin(), weights.end());
        double sum = 0;
        for (double w : weights) sum += std::exp(w - most);
        for (double& w : weights) w = std::exp(w - most) / sum;
        statistics.at((n * positions + i) * 2) = most;
        statistics.at((n * positions + i) * 2 + 1) = sum;
      }
      for (int64_t j = 0; j < positions; ++j)
        for (int64_t c = 0; c < channels; ++c) {
          out.at((n * positions + i) * channels + c) +=
              psa.scale * weights[static_cast<size_t>(j)] * value.at((n * positions + j) * channels + c);
        }
    }
  // Without softmax the statistics mean nothing.
  return {out, psa.softmax ? statistics : HostTensor()};
}

HostTensors psa_projected(const Op& op, const HostTensors& in) {
  const HostTensors logits = conv2d(Op(layers::Conv2d{}), {in[1], in[2]});
  HostTensors out = psa(Op(op.as<layers::PsaProjected>()->psa), {in[0], logits[0]});
  return {out[0], HostTensor(), out[1]};  // the scores are a private matter of each backend
}

References attention() {
  return {
      {"psa", psa},
      {"psa_projected", psa_projected},
  };
}

}  // namespace psanet::tests::references
