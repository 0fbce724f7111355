// Contexts on several GPUs and several host threads: what is launched reaches the GPU that it was launched for,
// whichever was current before (kernels/cuda/runtime.h, use_device).
#include "kernels/context.h"

#include <thread>

#include "kernels/cuda/block_choice.h"
#include "kernels/memory.h"
#include "kernels/pointwise.h"
#include "tests/cuda/support.h"

namespace psanet::tests {
namespace {

using kernels::CudaContext;

/// One value on a GPU of its own, and what doubles it.
class Doubled {
 public:
  explicit Doubled(int device) : ctx_(device), memory_(static_cast<float*>(kernels::allocate(ctx_, sizeof(float)))) {}
  ~Doubled() { kernels::release(ctx_, memory_); }
  Doubled(const Doubled&) = delete;
  Doubled& operator=(const Doubled&) = delete;

  void set(float value) { kernels::copy_to_device(ctx_, memory_, &value, sizeof value); }
  void clear() { kernels::fill_zero(ctx_, memory_, sizeof(float)); }
  void launch() { kernels::map(ctx_, 1, kernels::Times{2}, memory_, memory_); }
  void record() {
    REQUIRE(kernels::begin_recording(ctx_));
    launch();
    CHECK(kernels::launches_recorded(ctx_) == 1);
    launch();
    recording_ = kernels::end_recording(ctx_);
    CHECK(recording_->launches() == 2);
  }
  void replay() { recording_->replay(); }
  double timed() {
    const auto marks = kernels::make_marks(ctx_, 2);
    marks->mark();
    launch();
    marks->mark();
    return marks->seconds().at(1);
  }
  float get() {
    float value = 0;
    kernels::copy_to_host(ctx_, &value, memory_, sizeof value);
    return value;
  }

 private:
  CudaContext ctx_;
  float* memory_;
  std::unique_ptr<kernels::Recording> recording_;
};

TEST_CASE("contexts: several GPUs in turn, from one thread and from others") {
  if (emulated()) setenv("PSANET_EMULATED_GPUS", "2", 1);
  if (kernels::cuda_device_count() < 2) {
    WARN("SKIPPED: fewer than two CUDA devices");
    return;
  }
  Doubled first(0), second(1);  // the second is current now
  first.set(1);
  second.set(10);
  first.launch();
  second.launch();
  first.launch();
  CHECK(first.get() == 4);
  CHECK(second.get() == 20);
  first.record();
  second.record();
  first.replay();
  second.replay();
  CHECK(first.timed() >= 0);
  CHECK(second.timed() >= 0);
  CHECK(first.get() == 32);
  CHECK(second.get() == 160);
  std::thread([&] { second.launch(); }).join();  // a new thread begins with GPU 0
  std::thread([&] { first.launch(); }).join();
  CHECK(first.get() == 64);
  CHECK(second.get() == 320);
  std::thread([&] {
    second.clear();
    second.replay();
  }).join();
  CHECK(second.get() == 0);
  if (emulated()) unsetenv("PSANET_EMULATED_GPUS");
}

TEST_CASE("contexts: kernels choose by as many multiprocessors as the GPU has") {
  const int count = kernels::cuda::multiprocessors(cuda());
  CHECK(count > 0);
  if (!emulated()) return;
  const char* wanted = std::getenv("PSANET_EMULATED_MULTIPROCESSORS");
  CHECK(count == (wanted != nullptr ? std::atoi(wanted) : 4));
}

}  // namespace
}  // namespace psanet::tests
