// TCP sockets whose every wait has a limit.
#pragma once

#include <sys/socket.h>

#include <chrono>
#include <string>
#include <utility>
#include <vector>

namespace psanet {

using Deadline = std::chrono::steady_clock::time_point;

/// "localhost" or an address of this machine that no other one can reach.
bool is_loopback(const std::string& host);

struct Address {
  sockaddr_storage storage{};
  socklen_t bytes = 0;

  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  /// "127.0.0.1"; an IPv4 address is one where IPv6 is listened on, too.
  std::string text() const;
  int port() const;
};

/// All addresses of a name; none, and why, if there are none. Takes as long as the system's resolver does.
std::vector<Address> resolve(const std::string& host, int port, std::string& why);

/// Owns a socket that never blocks.
class Socket {
 public:
  Socket() = default;
  explicit Socket(int number) : number_(number) {}
  ~Socket() { close(); }
  Socket(Socket&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Socket& operator=(Socket&& other) noexcept;

  /// One that listens, or is connected; on failure none, and why.
  static Socket listening(const Address& address, std::string& why);
  static Socket connected(const Address& address, Deadline until, std::string& why);
  /// The next connection; none if nobody waits for one.
  Socket accept() const;

  explicit operator bool() const { return number_ >= 0; }
  int number() const { return number_; }
  void close();
  Address own_end() const;
  /// Waits until something can be read, or written; false if the time is over.
  bool wait(short events, Deadline until) const;

  enum class Got { something, nothing, end };
  /// Appends what has come in, at most 64 KiB; never waits.
  Got read(std::string& bytes) const;
  /// Sends from the front of `bytes` what can be sent now, and removes it; false if the connection is broken.
  bool write(std::string& bytes) const;

 private:
  /// Small messages at once; and a machine that vanishes without a word is noticed in half a minute.
  void tune() const;
  int number_ = -1;
};

}  // namespace psanet
