// Planted mistakes: what would the tests of our kernels see if a kernel had this one? docs/cuda-emulation.md has the
// answers in a table, and these tests hold it to them.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "kernels/cuda/device.h"
#include "kernels/cuda/runtime.h"
#include "tests/cuda/support.h"

namespace psanet::tests {

using kernels::cuda::LaunchDims;

/// A mistake and its right twin. Each runs in a process of its own, once for every schedule (for_each_schedule), and
/// gives what a test would compare.
struct Mistake {
  std::vector<float> wanted;
  std::function<std::vector<float>()> mistaken;
  std::function<std::vector<float>()> right = {};  // where there is one to tell apart
  std::string report = "";                         // words of the emulator's report, where the emulator sees it
};

/// Holds the mistake to the row of the table that has the name of the running test case, in the column of this build.
void check(const Mistake& mistake);

/// 0, 1, 2, ...
std::vector<float> counting(int64_t n);

/// y [outputs] (NaN before) after kernel(x, y).
std::vector<float> run(void (*kernel)(const float*, float*), const LaunchDims& dims, const std::vector<float>& x,
                       int64_t outputs);

}  // namespace psanet::tests
