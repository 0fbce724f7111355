#include "tests/device/devices.h"

#include <cstdio>
#include <cstdlib>

namespace psanet::tests {

Device& processor() {
  static Device device = Device::cpu(1);
  return device;
}

Device& gpu(Precision precision) {
  if (!Device::has_gpu()) {
    std::printf("SKIPPED: no CUDA device\n");
    std::fflush(stdout);
    std::_Exit(0);
  }
  // Never destroyed: when a program ends, cuDNN's libraries may be gone before its handle is.
  static auto &fp32 = *new Device(Device::cuda(0, Precision::fp32)),
              &tf32 = *new Device(Device::cuda(0, Precision::tf32)),
              &bf16 = *new Device(Device::cuda(0, Precision::bf16));
  return precision == Precision::fp32 ? fp32 : precision == Precision::tf32 ? tf32 : bf16;
}

bool gpu_is_emulated() {
#ifdef PSANET_CUDA_EMULATED
  return true;
#else
  return false;
#endif
}

}  // namespace psanet::tests
