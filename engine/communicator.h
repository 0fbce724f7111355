// What the ranks of a data-parallel run say to each other: sums, copies of everybody's values, barriers.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>

namespace psanet {

/// A collective that failed or took too long: names rank, step and collective, and the rank that is gone if known.
struct CommunicationError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// This class itself is the identity: one rank. Every rank calls the same collectives in the same order. Sums are made
/// in an order that depends on the number of ranks alone, and every rank gets the same bits.
class Communicator {
 public:
  Communicator() = default;
  virtual ~Communicator();
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;

  int rank() const { return rank_; }
  int world() const { return world_; }
  /// For messages: which step of the training is made.
  void set_step(int64_t step) { step_ = step; }

  /// Is called with the message of the first failure, by the thread that met it, before it is thrown. A process whose
  /// ranks are lost can end in it at once: threads that wait for ranks that wait for this one would hold it back.
  void on_failure(std::function<void(const std::string&)> call) { on_failure_ = std::move(call); }

  /// In place: the sum over all ranks. `name` is for messages.
  void all_reduce(const std::string& name, std::span<float> values);
  void all_reduce(const std::string& name, std::span<double> values);
  void all_reduce(const std::string& name, std::span<int64_t> values);
  /// all [world * mine]: the values of every rank, in the order of ranks.
  void all_gather(const std::string& name, std::span<const double> mine, std::span<double> all);
  /// In place: the values of rank `root`.
  void broadcast(const std::string& name, std::span<std::byte> values, int root);
  /// Returns when every rank has called it.
  void barrier(const std::string& name);

  /// Starts a sum on the communication thread; the caller goes on and leaves the values alone until wait().
  void start_all_reduce(const std::string& name, std::span<float> values);
  /// Waits until the oldest sum that was started and not waited for is there; throws what it threw.
  void wait();
  /// Waits until every sum that was started is there; wait() is still owed for each. For looking at values between
  /// steps.
  void settle() noexcept;
  /// After an error: waits until nothing is under way, whatever became of it.
  void drain() noexcept;

 protected:
  Communicator(int rank, int world) : rank_(rank), world_(world) {}

  /// Which of two independent streams of collectives: those that the caller waits for, and the communication thread's.
  enum class Lane : uint8_t { caller, thread };
  virtual void sum(Lane, std::span<float>) {}
  virtual void sum(Lane, std::span<double>) {}
  virtual void sum(Lane, std::span<int64_t>) {}
  virtual void gather(std::span<const double> mine, std::span<double> all);
  virtual void copy_from(int /*root*/, std::span<std::byte>) {}
  virtual void meet() {}
  /// More about a failure than the library says ("rank 2 is gone"), or nothing.
  virtual std::string why() { return {}; }
  /// To be called by destructors of what derives, while sum() is still there.
  void stop_thread() noexcept;

 private:
  struct Task {
    std::string name;
    std::span<float> values;
  };
  void checked(const std::string& what, const std::string& name, const std::function<void()>& body);
  void work();

  int rank_ = 0, world_ = 1;
  std::function<void(const std::string&)> on_failure_;
  std::atomic<int64_t> step_ = 0;
  std::atomic<bool> broken_ = false;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Task> tasks_;
  int64_t started_ = 0, finished_ = 0, waited_ = 0;
  std::exception_ptr error_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace psanet
