#include "engine/distributed/tcp.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace psanet {

namespace {

void set(int socket, int level, int option, int value) {
  ::setsockopt(socket, level, option, &value, sizeof value);
}

Socket made(int family) {
  return Socket(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

}  // namespace

bool is_loopback(const std::string& host) {
  return host == "localhost" || host == "::1" || host.rfind("127.", 0) == 0 || host.rfind("::ffff:127.", 0) == 0;
}

std::string Address::text() const {
  std::array<char, NI_MAXHOST> name{};
  ::getnameinfo(get(), bytes, name.data(), name.size(), nullptr, 0, NI_NUMERICHOST);
  const std::string text = name.data(), mapped = "::ffff:";
  return text.rfind(mapped, 0) == 0 ? text.substr(mapped.size()) : text;
}

int Address::port() const {
  return ntohs(storage.ss_family == AF_INET6 ? reinterpret_cast<const sockaddr_in6*>(&storage)->sin6_port
                                             : reinterpret_cast<const sockaddr_in*>(&storage)->sin_port);
}

std::vector<Address> resolve(const std::string& host, int port, std::string& why) {
  addrinfo hints{}, *found = nullptr;
  hints.ai_socktype = SOCK_STREAM;
  const int failed = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (failed != 0) {
    why = ::gai_strerror(failed);
    return {};
  }
  std::vector<Address> all;
  for (const addrinfo* each = found; each; each = each->ai_next) {
    Address address;
    std::memcpy(&address.storage, each->ai_addr, each->ai_addrlen);
    address.bytes = each->ai_addrlen;
    all.push_back(address);
  }
  ::freeaddrinfo(found);
  return all;
}

Socket& Socket::operator=(Socket&& other) noexcept {
  std::swap(number_, other.number_);
  return *this;
}

void Socket::close() {
  if (number_ >= 0) ::close(std::exchange(number_, -1));
}

Socket Socket::listening(const Address& address, std::string& why) {
  Socket listener = made(address.storage.ss_family);
  set(listener.number_, SOL_SOCKET, SO_REUSEADDR, 1);
  if (address.storage.ss_family == AF_INET6) set(listener.number_, IPPROTO_IPV6, IPV6_V6ONLY, 0);
  if (::bind(listener.number_, address.get(), address.bytes) == 0 && ::listen(listener.number_, 1024) == 0) {
    return listener;
  }
  why = std::strerror(errno);
  return {};
}

Socket Socket::connected(const Address& address, Deadline until, std::string& why) {
  Socket socket = made(address.storage.ss_family);
  int error = ::connect(socket.number_, address.get(), address.bytes) == 0 ? 0 : errno;
  if (error == EINPROGRESS) {
    socklen_t bytes = sizeof error;
    if (!socket.wait(POLLOUT, until)) {
      error = ETIMEDOUT;
    } else if (::getsockopt(socket.number_, SOL_SOCKET, SO_ERROR, &error, &bytes) != 0) {
      error = errno;
    }
  }
  if (error != 0) {
    why = std::strerror(error);
    return {};
  }
  socket.tune();
  return socket;
}

Socket Socket::accept() const {
  Socket socket(::accept4(number_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (socket) socket.tune();
  return socket;
}

void Socket::tune() const {
  set(number_, IPPROTO_TCP, TCP_NODELAY, 1);
  set(number_, SOL_SOCKET, SO_KEEPALIVE, 1);
  set(number_, IPPROTO_TCP, TCP_KEEPIDLE, 10);
  set(number_, IPPROTO_TCP, TCP_KEEPINTVL, 5);
  set(number_, IPPROTO_TCP, TCP_KEEPCNT, 4);
}

Address Socket::own_end() const {
  Address address;
  address.bytes = sizeof address.storage;
  ::getsockname(number_, address.get(), &address.bytes);
  return address;
}

bool Socket::wait(short events, Deadline until) const {
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now()).count();
    pollfd waited{number_, events, 0};
    const int ready = ::poll(&waited, 1, static_cast<int>(std::clamp<int64_t>(left, 0, 1 << 30)));
    if (ready > 0) return true;
    if (left <= 0 || (ready < 0 && errno != EINTR)) return false;
  }
}

Socket::Got Socket::read(std::string& bytes) const {
  std::array<char, 65536> piece;
  const ssize_t got = ::recv(number_, piece.data(), piece.size(), 0);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return Got::nothing;
  if (got <= 0) return Got::end;
  bytes.append(piece.data(), static_cast<size_t>(got));
  return Got::something;
}

bool Socket::write(std::string& bytes) const {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(number_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && errno == EAGAIN) return true;
    if (sent <= 0) return false;
    bytes.erase(0, static_cast<size_t>(sent));
  }
  return true;
}

}  // namespace psanet
