// One rank of NVIDIA's NCCL on a real GPU (scripts/gpu-check). With one rank a sum keeps its values: what is tested is
// that the library is loaded and called rightly, and that streams wait for each other.
#include <cstdio>
#include <vector>

#include "kernels/memory.h"
#include "kernels/nccl.h"
#include "kernels/pointwise.h"
#include "tests/support/catch.h"

namespace psanet::tests {
namespace {

TEST_CASE("one rank of NCCL on a GPU") {
  if (kernels::cuda_device_count() == 0) {
    std::printf("SKIPPED: no CUDA device: %s\n", kernels::why_no_cuda_device().c_str());
    return;
  }
  kernels::CudaContext ctx;
  auto communicator = kernels::make_nccl_communicator(ctx, kernels::make_nccl_id(), 0, 1);
  constexpr int64_t kCount = 1 << 20;
  const auto memory = [&](size_t bytes) { return kernels::allocate(ctx, static_cast<int64_t>(bytes)); };
  auto* x = static_cast<float*>(memory(kCount * sizeof(float)));
  auto* mine = static_cast<double*>(memory(2 * sizeof(double)));
  auto* all = static_cast<double*>(memory(2 * sizeof(double)));
  std::vector<float> values(kCount);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i % 1000);
  const std::vector<double> pair{0.1, -7};
  kernels::copy_to_device(ctx, x, values.data(), kCount * 4);
  kernels::copy_to_device(ctx, mine, pair.data(), 16);
  for (int step = 0; step < 20; ++step) {  // kernels before and after, without a wait by the host
    communicator->set_step(step);
    kernels::map(ctx, kCount, kernels::Times{2}, x, x);
    const int64_t sum = communicator->all_reduce("values", x, kCount);
    communicator->broadcast("the same", x, kCount * 4, 0);
    communicator->join(sum);
    communicator->join_all();
    kernels::map(ctx, kCount, kernels::Times{0.5f}, x, x);
  }
  communicator->all_gather("pair", mine, all, 2);
  communicator->join_all();
  std::vector<float> found(kCount);
  std::vector<double> gathered(2);
  kernels::copy_to_host(ctx, found.data(), x, kCount * 4);
  kernels::copy_to_host(ctx, gathered.data(), all, 16);
  communicator->wait();
  CHECK(found == values);
  CHECK(gathered == pair);
  communicator.reset();
  for (void* p : {static_cast<void*>(x), static_cast<void*>(mine), static_cast<void*>(all)}) kernels::release(ctx, p);
}

}  // namespace
}  // namespace psanet::tests
