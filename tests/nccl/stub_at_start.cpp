// Linked into an emulated program: NCCL is the stub from the start, with the script in PSANET_NCCL_STUB_SCRIPT.
#include <cstdlib>

#include "tests/nccl/stub_control.h"

namespace {
const bool kLoaded = [] {
  const char* script = std::getenv("PSANET_NCCL_STUB_SCRIPT");
  ::setenv("PSANET_NCCL", psanet::tests::with_stub(script == nullptr ? "" : script).library.c_str(), 1);
  return true;
}();
}  // namespace
