// What an NcclCommunicator holds: the library's communicator, its stream, the collectives under way, the watchdog.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "kernels/cuda/nccl_abort.h"
#include "kernels/cuda/nccl_library.h"
#include "kernels/nccl.h"

namespace psanet::kernels {

struct NcclCommunicator::Impl {
  using Clock = std::chrono::steady_clock;
  using Call = std::function<cuda::nccl::Result()>;

  /// One collective that is not known to be finished.
  struct Collective {
    int64_t number = 0;
    std::string what;  // rank, step and collective, for messages
    std::string name;  // the collective alone
    cudaEvent_t begin = nullptr, end = nullptr;
    bool issued = false;   // its events are in the stream
    bool running = false;  // it has been seen to be the one that is executed, since:
    Clock::time_point since;
  };

  Impl(int device, cudaStream_t compute, const NcclId& id, int rank, int world, const NcclOptions& options);
  ~Impl();

  int64_t start(const char* kind, const std::string& name, const Call& call);
  template <class T>
  int64_t sum(const std::string& name, T* values, int64_t count, cuda::nccl::DataType type) {
    return start("all_reduce", name, [&] {
      return library->AllReduce(values, values, static_cast<size_t>(count), type, cuda::nccl::sum, communicator,
                                stream);
    });
  }
  void join(int64_t collective);
  void wait();
  void check();
  /// A failure: aborts the communicator (or ends the process) and keeps the line for check(). Only the first one
  /// counts.
  void fail(const std::string& line);

  std::string place() const;
  /// Asks until the library has done what it began, or the time is over.
  cuda::nccl::Result settled(cuda::nccl::Result result, Clock::time_point until);
  void create(const NcclId& id);
  /// Tells the library that all is done, and lets it give back what it has.
  void destroy();
  /// One of the free events, or a new one.
  cudaEvent_t event();
  void start_timing();
  std::vector<Timed> stop_timing();
  /// Events of another kind from here on: no collective is under way.
  void forget_events();

  void watch();
  /// Forgets the collectives that are finished. With the mutex held.
  void retire();
  /// One look; a line if something has failed.
  std::string look();
  /// The line of an error that the library reports by itself, or nothing.
  std::string asynchronous_error();

  const NcclOptions options;
  const int device, rank, world;
  const int exceptions = std::uncaught_exceptions();
  const std::shared_ptr<const cuda::nccl::Library> library;
  cuda::nccl::Communicator* communicator = nullptr;
  std::mutex calls;  // held within calls of the library: it wants one at a time for each communicator

  const cudaStream_t compute;
  cudaStream_t stream = nullptr;
  cudaEvent_t ready = nullptr;  // the compute stream has come so far
  std::atomic<int64_t> step = 0;

  std::mutex mutex;  // of all that follows
  std::condition_variable changed;
  std::deque<Collective> under_way;  // oldest first
  std::vector<cudaEvent_t> free_events;
  int64_t started = 0;
  std::string last;  // what the youngest collective is called
  bool failed = false, stopping = false;
  std::string error;
  cudaEvent_t timing_from = nullptr;  // not null: collectives are timed
  std::vector<Timed> timed;
  Clock::time_point asked_for_gone;  // of the watchdog
  std::thread watchdog;
};

}  // namespace psanet::kernels
