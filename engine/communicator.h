// What the ranks of a data-parallel run say to each other: sums, copies of everybody's values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "engine/timeline.h"

namespace psanet {

/// A collective that failed or took too long: names rank, step and collective, and the rank that is gone if known.
struct CommunicationError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// One rank's end of the collectives that all ranks call in the same order, from one thread each. Values are memory of
/// one device, and a collective comes in the order of that device's launches: what is launched behind it sees its
/// result. In host memory (HostCommunicator) it is done when the call returns; on GPUs (join_devices) the host waits
/// for nothing. Every rank gets the same bits. What this class itself does is right for one rank alone: nothing, and a
/// copy for all_gather().
class Communicator {
 public:
  Communicator() = default;
  virtual ~Communicator() = default;
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;

  int rank() const { return rank_; }
  int world() const { return world_; }
  /// For messages: which step of the training is made.
  virtual void set_step(int64_t) {}

  /// In place: the sum over all ranks. `name` is for messages.
  virtual void all_reduce(const std::string&, std::span<float>) {}
  virtual void all_reduce(const std::string&, std::span<int64_t>) {}
  /// all [world * mine]: the values of every rank, in the order of ranks.
  virtual void all_gather(const std::string& name, std::span<const double> mine, std::span<double> all);
  /// In place: the values of rank `root`.
  virtual void broadcast(const std::string&, std::span<std::byte>, int /*root*/) {}
  /// The host waits until the hosts of all ranks have called it.
  virtual void barrier(const std::string&) {}

  /// Starts a sum beside the launches that follow; they leave the values alone until wait().
  virtual void start_all_reduce(const std::string&, std::span<float>) {}
  /// What follows sees the oldest sum that was started and not waited for. With several ranks, std::logic_error if
  /// there is none.
  virtual void wait() {}
  /// The host waits until every sum that was started is there; each started sum still needs one wait(). For looking at
  /// values between launches.
  virtual void settle() noexcept {}
  /// After an error: waits until nothing is under way, whatever became of it.
  virtual void drain() noexcept {}
  /// Throws what has failed, if something has: to be called before values that were computed are believed.
  virtual void check() {}

  /// From here on what goes on beside the device's launches is timed; stop_timing() waits for it.
  virtual void start_timing() {}
  virtual std::vector<TimedSpan> stop_timing() { return {}; }

 protected:
  Communicator(int rank, int world) : rank_(rank), world_(world) {}

 private:
  int rank_ = 0, world_ = 1;
};

}  // namespace psanet
