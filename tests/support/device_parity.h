// The op table on another device: each case beside the processor, forward and backward.
#pragma once

#include <string>
#include <vector>

#include "engine/device.h"
#include "tests/support/op_case.h"

namespace psanet::tests {

/// One line for each difference between `device`, with these activations (f32 or bf16), and the processor with float
/// values that were rounded the same way; and for each result that a second run (which replays a recording) gives other
/// bits. tolerance: of the largest value and of each.
std::vector<std::string> device_differences(const OpCase& c, Device& processor, Device& device, DType activations,
                                            double tolerance);

}  // namespace psanet::tests
