// The table of op cases (tests/layers/cases/*.json): an op with its attributes and the inputs it is given. One table
// drives the comparison with the definition, the gradient check and whatever compares or times ops.
//
//   [{"op": "conv2d", "cases": [
//      {"with": {"padding": 1}, "in": [[2, 9, 7, 5], [8, 3, 3, 5]]},
//      ...
//
// An input is a shape (f32, uniform in [-1, 1)) or an object with "shape" and
//   "fill"      uniform (default), positive [0.5, 1.5), distinct (no two values nearer than 0.02 to each other or 0.01
//               to zero: no tie in a max pool, no ReLU at its kink), mean or variance (of input 0 over its rows),
//               labels, counter
//   "values"    instead of "fill": the values themselves; null is NaN
//   "low", "high"              of uniform
//   "classes", "ignore", "share"  of labels: u8 in [0, classes), a share of them `ignore`
//   "dtype"     f32 (default), u8, i64
//   "constant"  true: the op has no gradient for it
// A case may also have "gradient": false, "tolerance" (default 1e-5, of the largest value and of each) and "note".
#pragma once

#include <string>
#include <vector>

#include "engine/op.h"
#include "tests/support/host_tensor.h"

namespace psanet::tests {

struct CaseInput {
  HostTensor tensor;
  bool constant = false;
};

struct OpCase {
  std::string name;  // "conv2d {"padding":1} [2,9,7,5] [8,3,3,5]"
  Op op;
  std::vector<CaseInput> inputs;
  bool gradient = true;
  double tolerance = 1e-5;

  HostTensors input_values() const;
  Types input_types() const;
};

/// All cases of one file of tests/layers/cases; the values are functions of op, case and input number alone.
std::vector<OpCase> read_cases(const std::string& file);

/// The names of the files, without ".json".
std::vector<std::string> case_files();

}  // namespace psanet::tests
