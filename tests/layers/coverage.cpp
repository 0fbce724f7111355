// No op without cases.
#include <map>

#include "layers/registry.h"
#include "tests/support/catch.h"
#include "tests/support/op_harness.h"
#include "tests/support/references.h"

namespace psanet::tests {
namespace {

/// Ops that are the gradient of another: their cases are that op's, by finite differences.
const std::map<std::string, std::string> kGradientOf = {
    {"adaptive_average_pool_backward", "adaptive_average_pool"},
    {"average_pool_backward", "average_pool"},
    {"batch_norm_backward", "batch_norm"},
    {"batch_norm_backward_reduce", "batch_norm"},
    {"conv2d_backward_data", "conv2d"},
    {"conv2d_backward_weights", "conv2d"},
    {"join_weight", "split_weight"},
    {"max_pool_backward", "max_pool"},
    {"psa_backward", "psa"},
    {"psa_projected_backward", "psa_projected"},
    {"relu_backward", "relu"},
    {"resize_backward", "resize"},
    {"resize_taps_backward", "resize_taps"},
    {"slice_backward", "slice"},
    {"softmax_backward", "softmax"},
};

TEST_CASE("coverage: every registered op has at least 12 cases, of its own or as a gradient", "[ops]") {
  std::map<std::string, int> own;
  std::map<std::string, std::map<std::string, int>> as_gradient;  // backward op -> forward op -> cases
  for (const std::string& file : case_files()) {
    for (const OpCase& c : read_cases(file)) {
      ++own[c.op.name()];
      for (const std::string& name : gradient_ops(c)) ++as_gradient[name][c.op.name()];
    }
  }
  for (const layers::OpEntry& entry : layers::all_ops()) {
    INFO(entry.name);
    const auto forward = kGradientOf.find(entry.name);
    if (forward == kGradientOf.end()) {
      CHECK(own[entry.name] >= 12);
      CHECK(find_reference(entry.name) != nullptr);
    } else {
      CHECK(as_gradient[entry.name][forward->second] >= 12);
    }
  }
}

TEST_CASE("coverage: ops with a gradient rule have it checked, the others are inputs of none", "[ops]") {
  std::map<std::string, bool> checked;
  for (const std::string& file : case_files()) {
    for (const OpCase& c : read_cases(file)) checked[c.op.name()] |= !gradient_ops(c).empty();
  }
  for (const layers::OpEntry& entry : layers::all_ops()) {
    INFO(entry.name);
    // The gradient of a sum, and of a cast in the cases where it has one, is the upstream gradient itself: no op.
    const bool without_op = std::string(entry.name) == "add" || std::string(entry.name) == "cast";
    if (entry.has_gradient && !without_op) CHECK(checked[entry.name]);
    if (!entry.has_gradient) CHECK_FALSE(checked[entry.name]);
  }
}

}  // namespace
}  // namespace psanet::tests
