// The stub library, loaded and told what to do.
#pragma once

#include <string>

#include "kernels/cuda/portable.h"
#include "kernels/nccl.h"

namespace psanet::tests {

/// Options that take the stub and short limits, after telling it `script` (nccl_stub.h).
kernels::NcclOptions with_stub(const std::string& script = "");

/// How often one of the stub's functions was called since then.
int stub_calls(const char* function);

}  // namespace psanet::tests
