// The device that golden tests run on: the processor, or what the environment variable PSANET_TEST_DEVICE names
// ("cuda", "cuda:1"), so that the reference numbers of whole networks are checked on a GPU by the same tests
// (scripts/gpu-check).
#pragma once

#include <cstdlib>

#include "engine/device.h"

namespace psanet::tests {

inline Device test_device(int threads = 2) {
  const char* name = std::getenv("PSANET_TEST_DEVICE");
  return Device::named(name == nullptr ? "cpu" : name, Precision::fp32, threads);
}

}  // namespace psanet::tests
