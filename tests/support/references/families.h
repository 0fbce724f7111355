// The reference loops by family; references.cpp has the table.
#pragma once

#include "tests/support/references.h"

namespace psanet::tests::references {

HostTensors add(const Op& op, const HostTensors& in);
HostTensors scale(const Op& op, const HostTensors& in);
HostTensors scale_by(const Op& op, const HostTensors& in);
HostTensors divide_or_zero(const Op& op, const HostTensors& in);
HostTensors cast(const Op& op, const HostTensors& in);
HostTensors relu(const Op& op, const HostTensors& in);
HostTensors relu_backward(const Op& op, const HostTensors& in);
HostTensors bias_backward(const Op& op, const HostTensors& in);
HostTensors softmax(const Op& op, const HostTensors& in);
HostTensors softmax_backward(const Op& op, const HostTensors& in);
HostTensors channel_scale(const Op& op, const HostTensors& in);
HostTensors dropout_factors(const Op& op, const HostTensors& in);
HostTensors accumulate(const Op& op, const HostTensors& in);
HostTensors clear(const Op& op, const HostTensors& in);
HostTensors sgd(const Op& op, const HostTensors& in);

HostTensors concat(const Op& op, const HostTensors& in);
HostTensors slice(const Op& op, const HostTensors& in);
HostTensors slice_backward(const Op& op, const HostTensors& in);
HostTensors split_weight(const Op& op, const HostTensors& in);
HostTensors reshape(const Op& op, const HostTensors& in);
HostTensors matmul(const Op& op, const HostTensors& in);

HostTensors conv2d(const Op& op, const HostTensors& in);
HostTensors conv2d_backward_data(const Op& op, const HostTensors& in);
HostTensors conv2d_backward_weights(const Op& op, const HostTensors& in);

HostTensors batch_norm(const Op& op, const HostTensors& in);
HostTensors batch_norm_statistics(const Op& op, const HostTensors& in);
HostTensors batch_norm_update_running(const Op& op, const HostTensors& in);
HostTensors fold_batch_norm(const Op& op, const HostTensors& in);

HostTensors max_pool(const Op& op, const HostTensors& in);
HostTensors average_pool(const Op& op, const HostTensors& in);
HostTensors adaptive_average_pool(const Op& op, const HostTensors& in);

HostTensors resize(const Op& op, const HostTensors& in);
HostTensors resize_taps(const Op& op, const HostTensors& in);
HostTensors resize_argmax(const Op& op, const HostTensors& in);
HostTensors resize_cross_entropy(const Op& op, const HostTensors& in);
HostTensors confusion_counts(const Op& op, const HostTensors& in);

HostTensors psa(const Op& op, const HostTensors& in);
HostTensors psa_projected(const Op& op, const HostTensors& in);

}  // namespace psanet::tests::references
