#include "tests/support/references.h"

#include "tests/support/references/families.h"

namespace psanet::tests {

namespace {

struct Entry {
  const char* op;
  Reference reference;
};

constexpr Entry kReferences[] = {
    {"adaptive_average_pool", &references::adaptive_average_pool},
    {"add", &references::add},
    {"average_pool", &references::average_pool},
    {"batch_norm", &references::batch_norm},
    {"batch_norm_statistics", &references::batch_norm_statistics},
    {"batch_norm_update_running", &references::batch_norm_update_running},
    {"bias_backward", &references::bias_backward},
    {"cast", &references::cast},
    {"channel_scale", &references::channel_scale},
    {"concat", &references::concat},
    {"confusion_counts", &references::confusion_counts},
    {"conv2d", &references::conv2d},
    {"conv2d_backward_data", &references::conv2d_backward_data},
    {"conv2d_backward_weights", &references::conv2d_backward_weights},
    {"divide_or_zero", &references::divide_or_zero},
    {"dropout_factors", &references::dropout_factors},
    {"fold_batch_norm", &references::fold_batch_norm},
    {"matmul", &references::matmul},
    {"max_pool", &references::max_pool},
    {"psa", &references::psa},
    {"psa_projected", &references::psa_projected},
    {"relu", &references::relu},
    {"relu_backward", &references::relu_backward},
    {"reshape", &references::reshape},
    {"resize", &references::resize},
    {"resize_argmax", &references::resize_argmax},
    {"resize_cross_entropy", &references::resize_cross_entropy},
    {"resize_taps", &references::resize_taps},
    {"scale", &references::scale},
    {"scale_by", &references::scale_by},
    {"accumulate", &references::accumulate},
    {"clear", &references::clear},
    {"sgd", &references::sgd},
    {"slice", &references::slice},
    {"slice_backward", &references::slice_backward},
    {"softmax", &references::softmax},
    {"softmax_backward", &references::softmax_backward},
    {"split_weight", &references::split_weight},
};

}  // namespace

Reference find_reference(const std::string& op) {
  for (const Entry& entry : kReferences) {
    if (op == entry.op) return entry.reference;
  }
  return nullptr;
}

}  // namespace psanet::tests
