// A rank's connection to the store.
#pragma once

#include <chrono>
#include <mutex>
#include <optional>
#include <string>

#include "engine/distributed/store_protocol.h"
#include "engine/distributed/tcp.h"

namespace psanet {

/// It stays open: when it breaks before leave() or fail(), the rank counts as gone. Calls may come from several
/// threads; one that asks keeps the others waiting. After an answer that did not come in time, or that was another
/// request's, the connection is closed and every later call is a DeviceError that says so: what belongs to one request
/// is never taken for another's.
class StoreClient {
 public:
  /// Tries all addresses of `host` until `limit` has passed (the server may be started later). DeviceError names the
  /// address and what is wrong.
  StoreClient(const std::string& host, int port, const std::string& token, int rank, std::chrono::milliseconds limit);
  ~StoreClient();
  StoreClient(const StoreClient&) = delete;
  StoreClient& operator=(const StoreClient&) = delete;

  /// Returns when the store has it. DeviceError if the store is full, or silent for a minute.
  void set(const std::string& key, const std::string& value);
  /// Waits until somebody has set it. DeviceError names the key after `limit` (a store that does not even say that has
  /// two seconds more), or the rank that ended by an error meanwhile.
  std::string get(const std::string& key, std::chrono::milliseconds limit);

  /// Which rank was the first to end by an error: "rank 2 has failed: ..." if it said so, "rank 2 is gone" if its
  /// connection, or that to the store, broke. Waits up to `limit` for it; empty if there is none. That the store says
  /// nothing is no evidence of anything: its process may stand still for a while.
  std::string failure(std::chrono::milliseconds limit);
  /// This rank ends by an error: tells all others why, in one line.
  void fail(const std::string& why) noexcept;
  /// This rank goes on purpose.
  void leave() noexcept;
  /// The address by which this machine reaches the server.
  const std::string& own_address() const { return own_address_; }

 private:
  std::string ask(FrameKind kind, const std::string& key, const std::string& value, std::chrono::milliseconds limit,
                  Deadline until);
  void send(std::string bytes, Deadline until);
  /// The next frame, if one comes in time; news are noted.
  std::optional<Frame> receive(Deadline until);
  [[noreturn]] void close(const std::string& why);

  std::mutex mutex_;  // of all that follows
  Socket socket_;
  std::string where_, own_address_, keeper_;
  std::string in_, closed_, failure_;  // what has come in; why the connection was closed; who has ended by an error
  uint32_t last_id_ = 0;
};

}  // namespace psanet
