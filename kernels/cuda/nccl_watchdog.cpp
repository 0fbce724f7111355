// The watchdog of a communicator: a thread that looks at the oldest unfinished collective and asks the library whether
// something is wrong, because the host waits for nothing and a hung kernel never reports itself.
#include <fmt/format.h>

#include <algorithm>

#include "kernels/cuda/nccl_communicator.h"

namespace psanet::kernels {

namespace nccl = cuda::nccl;

namespace {

bool passed(cudaEvent_t event) {
  return cudaEventQuery(event) == cudaSuccess;
}

}  // namespace

void NcclCommunicator::Impl::watch() {
  cudaSetDevice(device);
  const std::chrono::duration<double> pause(options.poll_s);
  std::unique_lock lock(mutex);
  while (!stopping && !failed) {
    lock.unlock();
    const std::string line = look();
    if (!line.empty()) fail(line);
    lock.lock();
    if (!stopping) changed.wait_for(lock, pause);
  }
}

void NcclCommunicator::Impl::retire() {
  while (!under_way.empty() && under_way.front().issued && passed(under_way.front().end)) {
    const Collective& done = under_way.front();
    if (timing_from != nullptr) {
      float begin = 0, end = 0;
      cudaEventElapsedTime(&begin, timing_from, done.begin);
      cudaEventElapsedTime(&end, timing_from, done.end);
      timed.push_back({done.name, static_cast<double>(begin) / 1000, static_cast<double>(end) / 1000});
    }
    free_events.push_back(done.begin);
    free_events.push_back(done.end);
    under_way.pop_front();
  }
}

std::string NcclCommunicator::Impl::look() {
  std::string late, waiting;  // for which the time is over; what others are waited for in
  {
    const std::lock_guard lock(mutex);
    retire();
    if (!under_way.empty()) {
      Collective& oldest = under_way.front();
      // What waits behind other work in the streams has not begun; a call that has not returned has.
      if (!oldest.running && (!oldest.issued || passed(oldest.begin))) {
        oldest.running = true;
        oldest.since = Clock::now();
      }
      const std::chrono::duration<double> age = oldest.running ? Clock::now() - oldest.since : Clock::duration(0);
      if (age.count() > options.limit_s) {
        late = fmt::format("{}: not finished within {} s", oldest.what, options.limit_s);
      } else if (oldest.running && options.gone &&
                 std::chrono::duration<double>(Clock::now() - std::max(oldest.since, asked_for_gone)).count() >
                     options.gone_poll_s) {
        waiting = oldest.what;
      }
    }
  }
  if (!waiting.empty()) {
    asked_for_gone = Clock::now();
    const std::string who = options.gone();
    if (!who.empty()) return waiting + ": " + who;
  }
  const std::string reported = asynchronous_error();
  return reported.empty() ? late : reported;
}

std::string NcclCommunicator::Impl::asynchronous_error() {
  nccl::Result state = nccl::success;
  std::string words;
  {
    const std::unique_lock alone(calls, std::try_to_lock);
    if (!alone.owns_lock()) return {};  // the one who is inside asks the same
    {
      const std::lock_guard lock(mutex);
      if (failed) return {};
    }
    const auto asked = library->CommGetAsyncError(communicator, &state);
    if (asked != nccl::success) state = asked;
    if (state == nccl::success || state == nccl::in_progress) return {};
    words = library->words(state, communicator);
  }
  const std::lock_guard lock(mutex);
  retire();
  const std::string what = !under_way.empty() ? under_way.front().what : last.empty() ? place() : last;
  return fmt::format("{}: {} (reported while it was under way)", what, words);
}

void NcclCommunicator::Impl::fail(const std::string& line) {
  {
    const std::lock_guard lock(mutex);
    if (failed) return;
    failed = true;
    error = line;
  }
  if (options.failed) options.failed(line);
  nccl::abort_or_end(library, communicator, device, calls, options.abort_limit_s, line);
  changed.notify_all();
}

}  // namespace psanet::kernels
