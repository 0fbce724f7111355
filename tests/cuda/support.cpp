#include "tests/cuda/support.h"

#include <cstdio>
#include <cstdlib>

#ifdef PSANET_CUDA_EMULATED
#include "tests/emulation/cuda_emulator.h"
#endif

namespace psanet::tests {

kernels::CpuContext& cpu() {
  static kernels::CpuContext ctx(1);
  return ctx;
}

kernels::CudaContext& cuda() {
  if (kernels::cuda_device_count() == 0) {
    std::printf("SKIPPED: no CUDA device: %s\n", kernels::why_no_cuda_device().c_str());
    std::fflush(stdout);
    std::_Exit(0);
  }
  // Shapes of tests are not worth measuring, nor remembering in the user's home.
  [[maybe_unused]] static const int measure_nothing = setenv("PSANET_ALGORITHMS", "off", 0);
  // Never destroyed: when a program ends, cuDNN's libraries may be gone before its handle is.
  static auto& ctx = *new kernels::CudaContext;
  return ctx;
}

bool emulated() {
#ifdef PSANET_CUDA_EMULATED
  return true;
#else
  return false;
#endif
}

void for_each_schedule(const std::function<void()>& body) {
#ifdef PSANET_CUDA_EMULATED
  using cuda_emulator::Order;
  const std::pair<Order, uint64_t> schedules[] = {
      {Order::forward, 0}, {Order::reverse, 0}, {Order::random, 1}, {Order::random, 2}};
  for (const auto& [order, seed] : schedules) {
    kernels::synchronize(cuda());  // what was queued before runs in the order of before
    cuda_emulator::set_order(order, seed);
    body();
  }
#else
  for (int run = 0; run < 3; ++run) body();
#endif
}

std::vector<float> random_values(int64_t n, unsigned seed) {
  std::mt19937 generator(seed);
  std::vector<float> values(static_cast<size_t>(n));
  for (float& v : values) v = static_cast<float>(generator() >> 8) * 0x1p-23f - 1.0f;
  return values;
}

void check_close(const std::vector<float>& found, const std::vector<float>& wanted, double relative,
                 const std::string& what) {
  REQUIRE(found.size() == wanted.size());
  double largest = 0, worst = 0;
  size_t where = 0, bad = 0;
  for (float v : wanted) largest = std::max(largest, static_cast<double>(std::fabs(v)));
  const double allowed = relative * std::max(largest, 1e-30);
  for (size_t i = 0; i < found.size(); ++i) {
    const double difference = std::fabs(static_cast<double>(found[i]) - wanted[i]);
    if (difference <= allowed) continue;  // so written, NaN is a difference
    if (bad++ == 0 || difference > worst) {
      worst = difference;
      where = i;
    }
  }
  INFO(fmt::format("{}: {} of {} values differ by more than {:.3g}; at {} found {}, wanted {}", what, bad, found.size(),
                   allowed, where, found.empty() ? 0 : found[where], found.empty() ? 0 : wanted[where]));
  CHECK(bad == 0);
}

}  // namespace psanet::tests
