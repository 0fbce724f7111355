// A program whose collective hangs, told by its argument how; its test looks at how it ends.
#include <cstdio>

#include "tests/nccl/stub_control.h"

int main(int argc, char** argv) {
  using namespace psanet;
  const auto options = tests::with_stub(argc > 1 ? argv[1] : "");
  cudaStream_t compute = nullptr;
  cudaStreamCreateWithFlags(&compute, cudaStreamNonBlocking);
  int exit_code = 0;
  try {
    kernels::NcclCommunicator communicator(0, compute, kernels::make_nccl_id(options), 0, 1, options);
    communicator.set_step(12);
    float x[2] = {1, 2};
    communicator.all_reduce("gradients 0", x, 2);
    communicator.wait();
  } catch (const DeviceError& e) {
    std::fprintf(stderr, "caught: %s\n", e.what());
    exit_code = 5;
  }
  cudaStreamDestroy(compute);
  return exit_code;
}
