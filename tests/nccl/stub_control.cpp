#include "tests/nccl/stub_control.h"

#include <dlfcn.h>

#include <stdexcept>

#include "tests/nccl/nccl_stub.h"

namespace psanet::tests {
namespace {

template <class Function>
Function* of_stub(const char* name) {
  static void* const handle = dlopen(PSANET_NCCL_STUB, RTLD_NOW | RTLD_LOCAL);
  void* const found = handle == nullptr ? nullptr : dlsym(handle, name);
  if (found == nullptr) throw std::runtime_error(dlerror());
  return reinterpret_cast<Function*>(found);
}

}  // namespace

kernels::NcclOptions with_stub(const std::string& script) {
  of_stub<NcclStubEnqueue>("nccl_stub_enqueue_with")(
      [](CUstream_st* stream, std::function<void()> work) { cuda_emulator::enqueue(stream, std::move(work), "NCCL"); });
  of_stub<NcclStubScript>("nccl_stub_script")(script.c_str());
  kernels::NcclOptions options;
  options.library = PSANET_NCCL_STUB;
  options.limit_s = 0.2;
  options.abort_limit_s = 0.2;
  options.poll_s = 0.005;
  return options;
}

int stub_calls(const char* function) {
  return of_stub<NcclStubCount>("nccl_stub_count")(function);
}

}  // namespace psanet::tests
