#include "engine/distributed/host_communicator.h"

#include <fmt/format.h>

namespace psanet {

HostCommunicator::~HostCommunicator() {
  stop_thread();
}

void HostCommunicator::checked(const std::string& what, const std::string& name, const std::function<void()>& body) {
  if (world() == 1) return body();
  const auto fail = [&](const std::string& found) {
    const bool first = !broken_.exchange(true);
    const std::string more = first ? gone(std::chrono::milliseconds(500)) : std::string();
    if (first) leave();
    const std::string message = fmt::format("rank {} of {}, step {}: {} \"{}\": {}{}", rank(), world(), step_.load(),
                                            what, name, more.empty() ? "" : more + ": ", found);
    if (first && on_failure_) on_failure_(message);
    throw CommunicationError(message);
  };
  if (broken_) fail("an earlier collective has failed");
  try {
    body();
  } catch (const CommunicationError&) {
    throw;
  } catch (const std::exception& e) {
    fail(e.what());
  }
}

void HostCommunicator::all_reduce(const std::string& name, std::span<float> values) {
  checked("all_reduce", name, [&] { sum(Lane::caller, values); });
}
void HostCommunicator::all_reduce(const std::string& name, std::span<double> values) {
  checked("all_reduce", name, [&] { sum(Lane::caller, values); });
}
void HostCommunicator::all_reduce(const std::string& name, std::span<int64_t> values) {
  checked("all_reduce", name, [&] { sum(Lane::caller, values); });
}
void HostCommunicator::all_gather(const std::string& name, std::span<const double> mine, std::span<double> all) {
  if (all.size() != mine.size() * static_cast<size_t>(world())) throw std::logic_error("all_gather: sizes do not fit");
  checked("all_gather", name, [&] { gather(mine, all); });
}
void HostCommunicator::broadcast(const std::string& name, std::span<std::byte> values, int root) {
  checked("broadcast", name, [&] { copy_from(root, values); });
}
void HostCommunicator::barrier(const std::string& name) {
  checked("barrier", name, [&] { meet(); });
}

void HostCommunicator::gather(std::span<const double> mine, std::span<double> all) {
  Communicator::all_gather({}, mine, all);
}

void HostCommunicator::start_all_reduce(const std::string& name, std::span<float> values) {
  if (world() == 1) return;
  const std::lock_guard lock(mutex_);
  if (!thread_.joinable()) thread_ = std::thread([this] { work(); });
  tasks_.push_back({name, values});
  ++started_;
  changed_.notify_all();
}

void HostCommunicator::wait() {
  if (world() == 1) return;
  std::unique_lock lock(mutex_);
  if (waited_ == started_) throw std::logic_error("nothing to wait for was started");
  changed_.wait(lock, [&] { return finished_ > waited_; });
  ++waited_;
  if (error_) std::rethrow_exception(error_);
}

void HostCommunicator::settle() noexcept {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return finished_ == started_; });
}

void HostCommunicator::drain() noexcept {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return finished_ == started_; });
  waited_ = started_;
}

void HostCommunicator::start_timing() {
  const std::lock_guard lock(mutex_);
  timing_ = true;
  timing_from_ = std::chrono::steady_clock::now();
  timed_.clear();
}

std::vector<TimedSpan> HostCommunicator::stop_timing() {
  settle();
  const std::lock_guard lock(mutex_);
  timing_ = false;
  return std::move(timed_);
}

void HostCommunicator::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [&] { return stopping_ || !tasks_.empty(); });
    if (tasks_.empty()) return;
    const Task task = std::move(tasks_.front());
    tasks_.pop_front();
    lock.unlock();
    const auto begin = std::chrono::steady_clock::now();
    std::exception_ptr error;
    try {
      checked("all_reduce", task.name, [&] { sum(Lane::thread, task.values); });
    } catch (...) {
      error = std::current_exception();
    }
    lock.lock();
    if (!error_) error_ = error;
    if (timing_) {
      const auto behind = [&](std::chrono::steady_clock::time_point t) {
        return std::chrono::duration<double>(t - timing_from_).count();
      };
      timed_.push_back({task.name, "all_reduce", behind(begin), behind(std::chrono::steady_clock::now())});
    }
    ++finished_;
    changed_.notify_all();
  }
}

void HostCommunicator::stop_thread() noexcept {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

}  // namespace psanet
