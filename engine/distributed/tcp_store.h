// Where ranks find each other: names and values, kept by one process and asked for over TCP.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

namespace psanet {

/// Nothing longer is taken or given.
inline constexpr uint32_t kStoreKey_bytes = 256, kStoreValue_bytes = 1u << 20;

/// "localhost" or an address of this machine that no other one can reach.
bool is_loopback(const std::string& host);

/// The server itself sets this: an address by which a rank of another machine has reached it.
inline constexpr const char* kStoreServer_address = "server address";

/// Keeps the values, on a thread of its own, until it is destroyed. Connections that do not say the token within ten
/// seconds are closed, and so are those beyond a hundred that have not said it yet.
class StoreServer {
 public:
  /// Listens on `host` alone if that is loopback, else on all addresses of this machine; port 0 takes a free one.
  /// Clients must know `token`. DeviceError if it cannot.
  StoreServer(const std::string& host, int port, std::string token);
  ~StoreServer();
  StoreServer(const StoreServer&) = delete;
  StoreServer& operator=(const StoreServer&) = delete;
  int port() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

/// A rank's connection. It stays open: when it breaks before leave(), the rank counts as gone. Calls may come from
/// several threads.
class StoreClient {
 public:
  /// Tries all addresses of `host` until `limit` has passed (the server may be started later). DeviceError names the
  /// address and what is wrong.
  StoreClient(const std::string& host, int port, const std::string& token, int rank, std::chrono::milliseconds limit);
  ~StoreClient();
  StoreClient(const StoreClient&) = delete;
  StoreClient& operator=(const StoreClient&) = delete;

  void set(const std::string& key, const std::string& value);
  /// Waits until somebody has set it; DeviceError names the key after `limit`.
  std::string get(const std::string& key, std::chrono::milliseconds limit);
  /// The first rank whose connection broke, waiting up to `limit` for one; -1 if there is none.
  int gone(std::chrono::milliseconds limit);
  /// This rank goes on purpose.
  void leave() noexcept;
  /// The address by which this machine reaches the server.
  const std::string& own_address() const { return own_address_; }

 private:
  std::string ask(char what, const std::string& key, const std::string& value, std::chrono::milliseconds limit);
  int socket_ = -1;
  std::string where_, own_address_;
  std::mutex mutex_;
};

}  // namespace psanet
