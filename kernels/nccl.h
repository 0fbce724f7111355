// Collectives between GPUs, by NCCL: one communicator with a stream of its own, and a watchdog that no hang escapes.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "kernels/context.h"
#include "kernels/error.h"

struct CUstream_st;  // what cudaStream_t points to

namespace psanet::kernels {

/// How a process ends if NCCL neither finishes a collective nor lets it be aborted: nothing else can end its threads.
inline constexpr int kNccl_stuck_exit_code = 8;

struct NcclOptions {
  /// File of the library; empty: the environment variable PSANET_NCCL, or else libnccl.so.2 where the system finds it.
  std::string library;
  /// For making the communicator, and for each collective from the moment at which it is the one being executed.
  double limit_s = 600;
  /// For aborting the communicator; after that the process ends with kNccl_stuck_exit_code.
  double abort_limit_s = 10;
  /// How often the watchdog looks.
  double poll_s = 0.05;
  /// Who of the other ranks has ended by an error, in words, or nothing: asked every `gone_poll_s` while a collective,
  /// or the making of the communicator, takes longer. Must not wait for anything.
  std::function<std::string()> gone;
  /// Is called with the line of the first failure, before the communicator is aborted, which may take its time or end
  /// the process. From any thread.
  std::function<void(const std::string&)> failed;
  double gone_poll_s = 1;
};

/// Names a communicator: made by one rank, given to all ranks (through the rendezvous' store).
using NcclId = std::array<char, 128>;

/// DeviceError if NCCL is missing, too old or refuses.
NcclId make_nccl_id(const NcclOptions& options = {});
/// "NCCL 2.28.9 (libnccl.so.2)". DeviceError if NCCL is missing or too old.
std::string describe_nccl(const NcclOptions& options = {});

/// One rank's end of a communicator. Collectives are put into its own stream, behind everything that the compute stream
/// has been given so far, and are executed in the order of the calls; the host waits for nothing. Every rank calls the
/// same collectives in the same order. One thread calls it. Collectives cannot be captured into a Recording.
///
/// Every failure is a DeviceError with one line that names rank, step and collective; after the first one the
/// communicator is aborted, and every call throws that line again. What a failed collective wrote is not to be used:
/// whoever has waited for the compute stream calls check() before believing what is there.
class NcclCommunicator {
 public:
  /// Waits until all `world` ranks have made theirs. The compute stream belongs to CUDA device `device` and must
  /// outlive this.
  NcclCommunicator(int device, CUstream_st* compute, const NcclId& id, int rank, int world,
                   const NcclOptions& options = {});
  /// Waits for what is under way, within its limits; gives up at once if it is an exception that ends its life.
  ~NcclCommunicator();
  NcclCommunicator(const NcclCommunicator&) = delete;
  NcclCommunicator& operator=(const NcclCommunicator&) = delete;

  /// For messages: which step of the training is made.
  void set_step(int64_t step);

  /// Starts a sum over all ranks, in place, over values [count] in device memory. Returns a number for join().
  int64_t all_reduce(const std::string& name, float* values, int64_t count);
  int64_t all_reduce(const std::string& name, double* values, int64_t count);
  int64_t all_reduce(const std::string& name, int64_t* values, int64_t count);
  /// Starts a copy of the `bytes` of rank `root` over those of all others.
  int64_t broadcast(const std::string& name, void* values, int64_t bytes, int root);
  /// Starts to collect all [world * count]: the values mine [count] of every rank, in the order of ranks.
  int64_t all_gather(const std::string& name, const double* mine, double* all, int64_t count);

  /// What the compute stream is given from now on is done after that collective. The host does not wait.
  void join(int64_t collective);
  /// The same for all that were started.
  void join_all();

  /// The host waits until nothing is under way. Throws what failed.
  void wait();
  /// Throws what failed, if something has.
  void check();

  /// A collective in seconds behind start_timing(), on the device.
  struct Timed {
    std::string name;
    double begin_s = 0, end_s = 0;
  };
  /// The moment at which the work launched so far is done, and the collectives that are started from here on.
  void start_timing();
  /// Waits for them.
  std::vector<Timed> stop_timing();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// A communicator behind and before the work of this context.
std::unique_ptr<NcclCommunicator> make_nccl_communicator(CudaContext& ctx, const NcclId& id, int rank, int world,
                                                         const NcclOptions& options = {});

}  // namespace psanet::kernels
