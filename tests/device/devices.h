// Whole ops and programs on the CUDA backend, beside the processor: emulated (test_device_emulated), or on a GPU
// (test_device). The kernels alone are tested in tests/cuda.
#pragma once

#include "engine/device.h"
#include "tests/support/catch.h"

namespace psanet::tests {

Device& processor();

/// The CUDA device. Ends the test, loudly, as skipped if there is none.
Device& gpu(Precision precision = Precision::fp32);

/// Is the device emulated? Then whole networks must be tiny.
bool gpu_is_emulated();

}  // namespace psanet::tests
