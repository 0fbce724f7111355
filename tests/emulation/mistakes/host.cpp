// What the host does wrong: launches, waits, and memory that does not live long enough.
#include "tests/emulation/mistakes/mistake.h"

namespace psanet::tests {
namespace {

using namespace kernels::cuda;

__global__ void copy_kernel(const float* x, float* y) {
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  y[i] = x[i];
}

constexpr int kCount = 32;
const LaunchDims kOneWarp{{1}, kCount};

std::vector<float> copied(const LaunchDims& dims, int64_t n) {
  return run(copy_kernel, dims, counting(n), n);
}

TEST_CASE("a block of 2048 threads") {
  check({counting(2048),
         [] {
           return copied({{1}, 2048}, 2048);
         },
         [] {
           return copied({{2}, 1024}, 2048);
         },
         "illegal launch configuration"});
}

TEST_CASE("a grid without blocks") {
  check({{1}, [] { return run(copy_kernel, {{0}, kCount}, {1.0f}, 1); }, {}, "illegal launch configuration"});
}

TEST_CASE("a grid of more than 65535 blocks across y") {
  check({{1}, [] { return run(copy_kernel, {{1, 65536}, 1}, {1.0f}, 1); }, {}, "illegal launch configuration"});
}

/// Raw launches, as a library makes them that trusts its caller. Whoever launches by launch() is safe.
std::vector<float> copied_with_current(int device) {
  setenv("PSANET_EMULATED_GPUS", "2", 1);
  const Array<float> x(counting(kCount)), y(kCount);
  PSANET_CUDA_CHECK(cudaSetDevice(device));
  cuda_emulator::launch(copy_kernel, dim3(1), dim3(kCount), 0, cuda().runtime->stream, x.data(), y.data());
  return y.get();
}

TEST_CASE("a launch into a stream of another GPU than the current one") {
  check({counting(kCount), [] { return copied_with_current(1); }, [] { return copied_with_current(0); },
         "not of the thread's current device"});
}

__global__ void shared_both_ways_kernel(const float* x, float* y) {
  PSANET_SHARED(float, fixed, [10 << 10]);
  PSANET_DYNAMIC_SHARED(float, tile);
  fixed[threadIdx.x] = x[threadIdx.x];
  tile[threadIdx.x] = fixed[threadIdx.x];
  y[threadIdx.x] = tile[threadIdx.x];
}

TEST_CASE("more than 48 KiB of static and dynamic shared memory together that nobody has asked for") {
  constexpr int64_t kDynamic_bytes = 10 << 10;
  check({counting(kCount),
         [] {
           const Array<float> x(counting(kCount)), y(kCount);
           cuda_emulator::launch(shared_both_ways_kernel, dim3(1), dim3(kCount), kDynamic_bytes, cuda().runtime->stream,
                                 x.data(), y.data());
           return y.get();
         },
         [] {
           return run(shared_both_ways_kernel, {{1}, kCount, kDynamic_bytes}, counting(kCount), kCount);
         },
         "more static and dynamic shared memory together than the kernel may have"});
}

/// Copies x to y on the device and y to the host.
std::vector<float> read_back(bool wait) {
  const Array<float> x(counting(kCount)), y(kCount);
  launch(cuda(), copy_kernel, kOneWarp, x.data(), y.data());
  std::vector<float> host(kCount, NAN);
  PSANET_CUDA_CHECK(cudaMemcpyAsync(host.data(), y.data(), static_cast<size_t>(y.bytes()), cudaMemcpyDeviceToHost,
                                    cuda().runtime->stream));
  if (wait) kernels::synchronize(cuda());
  const std::vector<float> seen = host;
  kernels::synchronize(cuda());  // `host` must outlive the copy either way
  return seen;
}

TEST_CASE("the host reads before it has waited for the stream") {
  check({counting(kCount), [] { return read_back(false); }, [] { return read_back(true); }});
}

TEST_CASE("a kernel is given the address of a variable that is gone when it runs") {
  check({{7}, [] {
           const Array<float> y(1);
           {
             const float factor = 7;
             launch(cuda(), copy_kernel, {{1}, 1}, &factor, y.data());
           }
           return y.get();
         }});
}

TEST_CASE("memory is given back while a kernel that reads it waits in the stream") {
  check({counting(kCount), [] {
           const Array<float> y(kCount);
           void* x = nullptr;
           PSANET_CUDA_CHECK(cudaMalloc(&x, kCount * sizeof(float)));
           kernels::copy_to_device(cuda(), x, counting(kCount).data(), kCount * sizeof(float));
           launch(cuda(), copy_kernel, kOneWarp, static_cast<const float*>(x), y.data());
           PSANET_CUDA_CHECK(cudaFree(x));
           return y.get();
         }});
}

}  // namespace
}  // namespace psanet::tests
