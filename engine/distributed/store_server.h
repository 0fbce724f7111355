// Where ranks find each other: names and values, kept by one process and asked for over TCP; and who of them has ended.
#pragma once

#include <memory>
#include <string>

#include "engine/distributed/store_protocol.h"

namespace psanet {

/// What a store keeps of all its clients: more is refused in an answer that says so.
inline constexpr size_t kStore_keys = 16384, kStore_bytes = size_t{64} << 20;
/// Connections that have said the token, and those that have not yet.
inline constexpr int kStore_clients = 512, kStore_strangers = 128;

/// The server itself sets this: an address by which a rank of another machine has reached it.
inline constexpr const char* kStoreServer_address = "server address";

/// Keeps the values, on a thread of its own, until it is destroyed. The first rank that says that it has failed, or
/// whose connection breaks before it has said goodbye, has ended by an error: all others are told at once, and whoever
/// waits for a value is refused it. Connections that do not say the token within ten seconds are closed, and so are
/// the oldest of more than kStore_strangers that have not said it yet. A connection makes the server hold two values
/// at most besides what it keeps.
class StoreServer {
 public:
  /// Listens on `host` alone if that is loopback, else on all addresses of this machine; port 0 takes a free one.
  /// Clients must know `token`. `keeper`: whose process this is, for messages ("rank 0"). DeviceError if it cannot.
  StoreServer(const std::string& host, int port, std::string token, std::string keeper = "the store's process");
  ~StoreServer();
  StoreServer(const StoreServer&) = delete;
  StoreServer& operator=(const StoreServer&) = delete;
  int port() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace psanet
