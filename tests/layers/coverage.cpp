// No op without cases.
#include <map>

#include "layers/registry.h"
#include "tests/support/catch.h"
#include "tests/support/op_harness.h"
#include "tests/support/references.h"

namespace psanet::tests {
namespace {

/// Is the op the gradient of another, by its name? Its cases are that op's, by finite differences. (bias_backward is
/// a part of conv2d's gradient, but has cases of its own.)
bool is_gradient(const std::string& name) {
  return name == "join_weight" || (name != "bias_backward" && name.find("_backward") != std::string::npos);
}
std::string gradient_of(const std::string& name) {
  return name == "join_weight" ? "split_weight" : name.substr(0, name.find("_backward"));
}

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
    if (!is_gradient(entry.name)) {
      CHECK(own[entry.name] >= 12);
      CHECK(find_reference(entry.name) != nullptr);
    } else {
      CHECK(as_gradient[entry.name][gradient_of(entry.name)] >= 12);
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
