#include "kernels/cuda/nccl_abort.h"

#include <errno.h>
#include <fmt/format.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "kernels/nccl.h"

namespace psanet::kernels::cuda::nccl {

namespace {

[[noreturn]] void end_process(const std::string& line, const char* why, double limit_s) {
  const std::string text = fmt::format("{}: error: {}; {} within {} s: the process ends (exit code {})\n",
                                       program_invocation_short_name, line, why, limit_s, kNccl_stuck_exit_code);
  std::fputs(text.c_str(), stderr);
  std::fflush(stderr);
  std::_Exit(kNccl_stuck_exit_code);
}

/// Asks until the answer is yes or the time is over. (Not a timed lock: GCC 12's race detector does not know those.)
template <class Question>
bool within(double limit_s, Question question) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::duration<double>(limit_s);
  while (!question()) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
  return true;
}

}  // namespace

void abort_or_end(std::shared_ptr<const Library> library, Communicator* communicator, int device, std::mutex& calls,
                  double limit_s, const std::string& line) {
  std::unique_lock alone(calls, std::defer_lock);
  if (!within(limit_s, [&] { return alone.try_lock(); })) {
    end_process(line, "a call into NCCL did not return", limit_s);
  }
  // Shared with the thread, which may outlive the wait.
  const auto aborted = std::make_shared<std::atomic<bool>>(false);
  std::thread([aborted, library, communicator, device] {
    cudaSetDevice(device);
    library->CommAbort(communicator);
    *aborted = true;
  }).detach();
  if (!within(limit_s, [&] { return aborted->load(); })) {
    end_process(line, "aborting the communicator did not end", limit_s);
  }
}

}  // namespace psanet::kernels::cuda::nccl
