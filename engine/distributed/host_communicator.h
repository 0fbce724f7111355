// Collectives over the host's memory: what ranks on processors train with, and what ranks on GPUs agree by.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <list>
#include <mutex>
#include <thread>

#include "engine/communicator.h"

namespace psanet {

/// What carries the values between the ranks derives from it (Gloo); here are the communication thread and what happens
/// when a collective fails. Sums are made in an order that depends on the number of ranks alone.
class HostCommunicator : public Communicator {
 public:
  ~HostCommunicator() override;

  void set_step(int64_t step) override {
    step_ = step;
    if (on_step_) on_step_(step);
  }
  /// Is called at the beginning of every step.
  void on_step(std::function<void(int64_t)> call) { on_step_ = std::move(call); }

  /// Is called with the message of the first failure, by the thread that met it, before it is thrown; to be set before
  /// the first collective. A process whose ranks are lost can end in it at once: threads that wait for ranks that wait
  /// for this one would hold it back. A watchdog calls it too, within two seconds after another rank's end by an error
  /// has become known, if a collective is under way.
  void on_failure(std::function<void(const std::string&)> call) { on_failure_ = std::move(call); }

  void all_reduce(const std::string& name, std::span<float> values) override;
  void all_reduce(const std::string& name, std::span<int64_t> values) override;
  void all_gather(const std::string& name, std::span<const double> mine, std::span<double> all) override;
  void broadcast(const std::string& name, std::span<std::byte> values, int root) override;
  void barrier(const std::string& name) override;

  /// On the communication thread.
  void start_all_reduce(const std::string& name, std::span<float> values) override;
  /// Throws what the sum threw.
  void wait() override;
  void settle() noexcept override;
  void drain() noexcept override;
  void start_timing() override;
  std::vector<TimedSpan> stop_timing() override;

  /// Which rank has ended by an error, if one is known to have within `limit`: "rank 2 is gone", "rank 2 has failed:
  /// ..."; else nothing. A rank that stands still has not ended. From any thread.
  virtual std::string failure(std::chrono::milliseconds limit) = 0;
  /// This rank ends by an error: tells the others why. Only the first rank's word counts. From any thread.
  virtual void fail(const std::string& why) noexcept = 0;

 protected:
  using Communicator::Communicator;

  /// Which of two independent streams of collectives: those that the caller waits for, and the communication thread's.
  enum class Lane : uint8_t { caller, thread };
  virtual void sum(Lane, std::span<float>) = 0;
  virtual void sum(Lane, std::span<int64_t>) = 0;
  virtual void gather(std::span<const double> mine, std::span<double> all) = 0;
  virtual void copy_from(int root, std::span<std::byte> values) = 0;
  virtual void meet() = 0;
  /// To be called by destructors of what derives, while sum() is still there.
  void stop_threads() noexcept;

 private:
  struct Task {
    std::string name;
    std::span<float> values;
  };
  using Clock = std::chrono::steady_clock;
  struct Collective {
    std::string what, name;
    Clock::time_point since;
  };
  class Watched;
  std::string line(const Collective& collective, const std::string& found) const;
  void watch();
  void checked(const std::string& what, const std::string& name, const std::function<void()>& body);
  void work();

  std::function<void(const std::string&)> on_failure_;
  std::function<void(int64_t)> on_step_;
  std::atomic<int64_t> step_ = 0;
  std::atomic<bool> broken_ = false;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Task> tasks_;
  std::list<Collective> active_;  // under way; the oldest is the last
  int64_t started_ = 0, finished_ = 0, waited_ = 0;
  std::exception_ptr error_;
  bool stopping_ = false, timing_ = false;
  Clock::time_point timing_from_;
  std::vector<TimedSpan> timed_;
  std::thread thread_, watchdog_;
};

}  // namespace psanet
