// Batch normalisation.
#include <cmath>

#include "layers/batch_norm.h"
#include "tests/support/references/families.h"

namespace psanet::tests::references {

HostTensors batch_norm_statistics(const Op&, const HostTensors& in) {
  const HostTensor& x = in[0];
  const int64_t channels = x[-1], rows = x.type.elements() / channels;
  HostTensor mean(f32({channels})), variance(f32({channels}));
  for (int64_t c = 0; c < channels; ++c) {
    for (int64_t r = 0; r < rows; ++r) mean.at(c) += x.at(r * channels + c);
    mean.at(c) /= static_cast<double>(rows);
    for (int64_t r = 0; r < rows; ++r) variance.at(c) += std::pow(x.at(r * channels + c) - mean.at(c), 2);
    variance.at(c) /= static_cast<double>(rows);
  }
  return {mean, variance};
}

HostTensors batch_norm(const Op& op, const HostTensors& in) {
  const auto& norm = *op.as<layers::BatchNormApply>();
  const HostTensor& x = in[0];
  HostTensor mean = in[1], variance = in[2];
  if (norm.batch_statistics) {  // they move with x: finite differences must see that
    const HostTensors own = batch_norm_statistics(op, {x});
    mean = own[0];
    variance = own[1];
  }
  HostTensor y(x.type);
  const int64_t channels = x[-1];
  for (int64_t i = 0; i < x.type.elements(); ++i) {
    const int64_t c = i % channels;
    double value = (x.at(i) - mean.at(c)) / std::sqrt(variance.at(c) + norm.epsilon) * in[3].at(c) + in[4].at(c);
    if (norm.residual) value += in[5].at(i);
    y.at(i) = norm.relu && value < 0 ? 0 : value;
  }
  return {y};
}

HostTensors batch_norm_update_running(const Op& op, const HostTensors& in) {
  const auto& update = *op.as<layers::BatchNormUpdateRunning>();
  HostTensor mean = in[2], variance = in[3];
  if (update.guarded && !std::isfinite(static_cast<float>(in[4].at(0)))) return {mean, variance};
  const auto rows = static_cast<double>(update.rows);
  const double unbiased = update.rows > 1 ? rows / (rows - 1) : 1;
  for (int64_t c = 0; c < mean.type.elements(); ++c) {
    mean.at(c) = (1 - update.momentum) * mean.at(c) + update.momentum * in[0].at(c);
    variance.at(c) = (1 - update.momentum) * variance.at(c) + update.momentum * unbiased * in[1].at(c);
  }
  return {mean, variance};
}

HostTensors fold_batch_norm(const Op& op, const HostTensors& in) {
  const auto& fold = *op.as<layers::FoldBatchNorm>();
  HostTensor w = in[0], bias(f32({in[0][0]}));
  const int64_t inner = w.type.elements() / w[0];
  for (int64_t o = 0; o < w[0]; ++o) {
    const double factor = in[3].at(o) / std::sqrt(in[2].at(o) + fold.epsilon);
    for (int64_t i = 0; i < inner; ++i) w.at(o * inner + i) *= factor;
    bias.at(o) = in[4].at(o) - in[1].at(o) * factor + (fold.conv_bias ? in[5].at(o) * factor : 0);
  }
  return {w, bias};
}

References normalisation() {
  return {
      {"batch_norm", batch_norm},
      {"batch_norm_statistics", batch_norm_statistics},
      {"batch_norm_update_running", batch_norm_update_running},
      {"fold_batch_norm", fold_batch_norm},
  };
}

}  // namespace psanet::tests::references
