#include "kernels/cuda/nccl_abort.h"

#include <errno.h>
#include <fmt/format.h>

#include <chrono>
#include <condition_variable>
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

}  // namespace

void abort_or_end(std::shared_ptr<const Library> library, Communicator* communicator, int device,
                  std::timed_mutex& calls, double limit_s, const std::string& line) {
  const std::chrono::duration<double> limit(limit_s);
  const std::unique_lock alone(calls, limit);
  if (!alone.owns_lock()) end_process(line, "a call into NCCL did not return", limit_s);

  struct Progress {
    std::mutex mutex;
    std::condition_variable changed;
    bool aborted = false;
  };
  // Shared with the thread, which may outlive the wait.
  const auto progress = std::make_shared<Progress>();
  std::thread([progress, library, communicator, device] {
    cudaSetDevice(device);
    library->CommAbort(communicator);
    const std::lock_guard lock(progress->mutex);
    progress->aborted = true;
    progress->changed.notify_all();
  }).detach();
  std::unique_lock lock(progress->mutex);
  if (!progress->changed.wait_for(lock, limit, [&] { return progress->aborted; })) {
    end_process(line, "aborting the communicator did not end", limit_s);
  }
}

}  // namespace psanet::kernels::cuda::nccl
