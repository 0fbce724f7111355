// What the CPU backend does not do.
#pragma once

#include <string>

#include "kernels/bf16.h"
#include "kernels/error.h"

namespace psanet::kernels::cpu {

inline void require_float(Scalar scalar, const char* what) {
  if (scalar != Scalar::f32) {
    throw DeviceError(std::string("a ") + what + " in bf16 was asked of the CPU, which computes in fp32 only");
  }
}

}  // namespace psanet::kernels::cpu
