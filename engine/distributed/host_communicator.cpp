#include "engine/distributed/host_communicator.h"

#include <fmt/format.h>

namespace psanet {

HostCommunicator::~HostCommunicator() {
  stop_threads();
}

/// Lets the watchdog see a collective as long as it lives.
class HostCommunicator::Watched {
 public:
  Watched(HostCommunicator& of, const std::string& what, const std::string& name) : of_(of) {
    const std::lock_guard lock(of.mutex_);
    of.active_.push_front({what, name, Clock::now()});
    place_ = of.active_.begin();
    if (of.on_failure_ && !of.watchdog_.joinable()) of.watchdog_ = std::thread([&of] { of.watch(); });
  }
  ~Watched() {
    const std::lock_guard lock(of_.mutex_);
    of_.active_.erase(place_);
  }
  Watched(const Watched&) = delete;
  Watched& operator=(const Watched&) = delete;

 private:
  HostCommunicator& of_;
  std::list<Collective>::iterator place_;
};

std::string HostCommunicator::line(const Collective& collective, const std::string& found) const {
  return fmt::format("rank {} of {}, step {}: {} \"{}\": {}", rank(), world(), step_.load(), collective.what,
                     collective.name, found);
}

/// Gloo sees that a connection breaks, not that a rank which has failed is still there, or that the one waited for
/// waits for it.
void HostCommunicator::watch() {
  std::unique_lock lock(mutex_);
  while (!changed_.wait_for(lock, std::chrono::milliseconds(500), [&] { return stopping_; })) {
    if (active_.empty() || Clock::now() - active_.back().since < std::chrono::seconds(1)) continue;
    const Collective oldest = active_.back();
    lock.unlock();
    const std::string who = failure(std::chrono::milliseconds(0));
    if (!who.empty() && !broken_.exchange(true)) on_failure_(line(oldest, who));
    lock.lock();
  }
}

void HostCommunicator::checked(const std::string& what, const std::string& name, const std::function<void()>& body) {
  const auto give_up = [&](const std::string& found) {
    const bool first = !broken_.exchange(true);
    const std::string who = first ? failure(std::chrono::milliseconds(500)) : std::string();
    const std::string message = line({what, name, {}}, who.empty() ? found : who);
    if (first) fail(message);
    if (first && on_failure_) on_failure_(message);
    throw CommunicationError(message);
  };
  if (broken_) give_up("an earlier collective has failed");
  try {
    const Watched watched(*this, what, name);
    body();
  } catch (const CommunicationError&) {
    throw;
  } catch (const std::exception& e) {
    give_up(e.what());
  }
}

void HostCommunicator::all_reduce(const std::string& name, std::span<float> values) {
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

void HostCommunicator::start_all_reduce(const std::string& name, std::span<float> values) {
  const std::lock_guard lock(mutex_);
  if (!thread_.joinable()) thread_ = std::thread([this] { work(); });
  tasks_.push_back({name, values});
  ++started_;
  changed_.notify_all();
}

void HostCommunicator::wait() {
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
  timing_from_ = Clock::now();
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
    const auto begin = Clock::now();
    std::exception_ptr error;
    try {
      checked("all_reduce", task.name, [&] { sum(Lane::thread, task.values); });
    } catch (...) {
      error = std::current_exception();
    }
    lock.lock();
    if (!error_) error_ = error;
    if (timing_) {
      const auto behind = [&](Clock::time_point t) { return std::chrono::duration<double>(t - timing_from_).count(); };
      timed_.push_back({task.name, "all_reduce", behind(begin), behind(Clock::now())});
    }
    ++finished_;
    changed_.notify_all();
  }
}

void HostCommunicator::stop_threads() noexcept {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
  if (watchdog_.joinable()) watchdog_.join();
}

}  // namespace psanet
