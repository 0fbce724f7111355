// Collectives over the host's memory: what ranks on processors train with, and what ranks on GPUs agree by.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>

#include "engine/communicator.h"

namespace psanet {

/// This class itself is the identity: one rank. Sums are made in an order that depends on the number of ranks alone.
class HostCommunicator : public Communicator {
 public:
  HostCommunicator() = default;
  ~HostCommunicator() override;

  void set_step(int64_t step) override {
    step_ = step;
    if (on_step_) on_step_(step);
  }
  /// Is called at the beginning of every step.
  void on_step(std::function<void(int64_t)> call) { on_step_ = std::move(call); }

  /// Is called with the message of the first failure, by the thread that met it, before it is thrown. A process whose
  /// ranks are lost can end in it at once: threads that wait for ranks that wait for this one would hold it back.
  void on_failure(std::function<void(const std::string&)> call) { on_failure_ = std::move(call); }

  void all_reduce(const std::string& name, std::span<float> values) override;
  void all_reduce(const std::string& name, std::span<double> values);
  void all_reduce(const std::string& name, std::span<int64_t> values) override;
  void all_gather(const std::string& name, std::span<const double> mine, std::span<double> all) override;
  /// In place: the values of rank `root`.
  void broadcast(const std::string& name, std::span<std::byte> values, int root);
  /// Returns when every rank has called it.
  void barrier(const std::string& name);

  /// On the communication thread.
  void start_all_reduce(const std::string& name, std::span<float> values) override;
  /// Throws what the sum threw.
  void wait() override;
  void settle() noexcept override;
  void drain() noexcept override;
  void start_timing() override;
  std::vector<TimedSpan> stop_timing() override;

  /// "rank 2 is gone", if one is known to be within `limit`, else nothing. From any thread.
  virtual std::string gone(std::chrono::milliseconds /*limit*/) { return {}; }

 protected:
  using Communicator::Communicator;

  /// Which of two independent streams of collectives: those that the caller waits for, and the communication thread's.
  enum class Lane : uint8_t { caller, thread };
  virtual void sum(Lane, std::span<float>) {}
  virtual void sum(Lane, std::span<double>) {}
  virtual void sum(Lane, std::span<int64_t>) {}
  virtual void gather(std::span<const double> mine, std::span<double> all);
  virtual void copy_from(int /*root*/, std::span<std::byte>) {}
  virtual void meet() {}
  /// This rank ends because of a failure: it must not count as the first that went.
  virtual void leave() noexcept {}
  /// To be called by destructors of what derives, while sum() is still there.
  void stop_thread() noexcept;

 private:
  struct Task {
    std::string name;
    std::span<float> values;
  };
  void checked(const std::string& what, const std::string& name, const std::function<void()>& body);
  void work();

  std::function<void(const std::string&)> on_failure_;
  std::function<void(int64_t)> on_step_;
  std::atomic<int64_t> step_ = 0;
  std::atomic<bool> broken_ = false;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Task> tasks_;
  int64_t started_ = 0, finished_ = 0, waited_ = 0;
  std::exception_ptr error_;
  bool stopping_ = false, timing_ = false;
  std::chrono::steady_clock::time_point timing_from_;
  std::vector<TimedSpan> timed_;
  std::thread thread_;
};

}  // namespace psanet
