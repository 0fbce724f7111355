#include "engine/tcp_store.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <condition_variable>
#include <cstring>
#include <list>
#include <map>
#include <optional>
#include <thread>

#include "engine/error.h"

namespace psanet {

namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

/// Of a message either way: what, then three lengths or numbers, then key and value. Both ends are the same program,
/// and machines of one byte order.
struct Header {
  char magic[4] = {'P', 'S', 'A', '1'};
  uint32_t what = 0, key_bytes = 0, value_bytes = 0, limit_ms = 0;
};
constexpr char kHello = 'H', kSet = 'S', kGet = 'G', kGone = 'L', kBye = 'B', kGood = 'Y', kNo = 'N';

bool read_all(int socket, void* to, size_t bytes) {
  auto* at = static_cast<char*>(to);
  while (bytes > 0) {
    const ssize_t got = ::recv(socket, at, bytes, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    at += got;
    bytes -= static_cast<size_t>(got);
  }
  return true;
}

bool send_message(int socket, char what, const std::string& key, const std::string& value, milliseconds limit) {
  Header header;
  header.what = static_cast<uint32_t>(what);
  header.key_bytes = static_cast<uint32_t>(key.size());
  header.value_bytes = static_cast<uint32_t>(value.size());
  header.limit_ms = static_cast<uint32_t>(limit.count());
  std::string message(reinterpret_cast<const char*>(&header), sizeof header);
  message += key + value;
  for (size_t at = 0; at < message.size();) {
    const ssize_t sent = ::send(socket, message.data() + at, message.size() - at, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    at += static_cast<size_t>(sent);
  }
  return true;
}

struct Message {
  char what = 0;
  std::string key, value;
  milliseconds limit{0};
};

std::optional<Message> read_message(int socket) {
  Header header;
  if (!read_all(socket, &header, sizeof header) || std::memcmp(header.magic, "PSA1", 4) != 0) return std::nullopt;
  if (header.key_bytes > kStoreKey_bytes || header.value_bytes > kStoreValue_bytes) return std::nullopt;
  Message m{static_cast<char>(header.what), std::string(header.key_bytes, 0), std::string(header.value_bytes, 0),
            milliseconds(header.limit_ms)};
  if (!read_all(socket, m.key.data(), m.key.size()) || !read_all(socket, m.value.data(), m.value.size()))
    return std::nullopt;
  return m;
}

void limit_reads(int socket, milliseconds limit) {
  const timeval t{limit.count() / 1000, limit.count() % 1000 * 1000};
  ::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t);
}

struct Address {
  sockaddr_storage storage{};
  socklen_t bytes = 0;
  int family = AF_INET;
};

Address resolve(const std::string& host, int port) {
  addrinfo hints{}, *found = nullptr;
  hints.ai_socktype = SOCK_STREAM;
  const int failed = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (failed != 0) throw DeviceError(fmt::format("rendezvous at {}:{}: {}", host, port, ::gai_strerror(failed)));
  Address address;
  std::memcpy(&address.storage, found->ai_addr, found->ai_addrlen);
  address.bytes = found->ai_addrlen;
  address.family = found->ai_family;
  ::freeaddrinfo(found);
  return address;
}

}  // namespace

class StoreServer::Impl {
 public:
  Impl(const std::string& host, int port, std::string token) : token_(std::move(token)) {
    const Address address = resolve(host, port);
    listener_ = ::socket(address.family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int yes = 1;
    ::setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (::bind(listener_, reinterpret_cast<const sockaddr*>(&address.storage), address.bytes) != 0 ||
        ::listen(listener_, 1024) != 0) {
      const std::string why = std::strerror(errno);
      ::close(listener_);
      throw DeviceError(fmt::format("rendezvous: cannot listen on {}:{}: {}", host, port, why));
    }
    sockaddr_storage own{};
    socklen_t bytes = sizeof own;
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&own), &bytes);
    port_ = ntohs(own.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6*>(&own)->sin6_port
                                            : reinterpret_cast<sockaddr_in*>(&own)->sin_port);
    acceptor_ = std::thread([this] { accept_all(); });
  }

  ~Impl() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
      for (Connection& c : connections_) ::shutdown(c.socket, SHUT_RDWR);
      changed_.notify_all();
    }
    ::shutdown(listener_, SHUT_RDWR);
    acceptor_.join();
    for (Connection& c : connections_) {
      c.thread.join();
      ::close(c.socket);
    }
    ::close(listener_);
  }

  int port() const { return port_; }

 private:
  struct Connection {
    int socket = -1;
    std::thread thread;
  };

  void accept_all() {
    for (;;) {
      const int socket = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      const std::lock_guard lock(mutex_);
      if (stopping_ || (socket < 0 && errno != EINTR && errno != ECONNABORTED)) {
        if (socket >= 0) ::close(socket);
        return;
      }
      if (socket < 0) continue;
      connections_.emplace_back();
      connections_.back().socket = socket;
      connections_.back().thread = std::thread([this, socket] { serve(socket); });
    }
  }

  void serve(int socket) {
    limit_reads(socket, std::chrono::seconds(10));  // whoever does not say the token soon is none of ours
    const std::optional<Message> hello = read_message(socket);
    const bool ours = hello && hello->what == kHello && hello->value == token_;
    send_message(socket, ours ? kGood : kNo, "", ours ? "" : "another job's rendezvous (the token differs)", {});
    int rank = -1;
    if (ours) {
      rank = std::atoi(hello->key.c_str());
      limit_reads(socket, milliseconds(0));
      bool left = false;
      for (std::optional<Message> m; !left && (m = read_message(socket));) left = !answer(socket, *m);
      const std::lock_guard lock(mutex_);
      if (!left && gone_ < 0) gone_ = rank;
      changed_.notify_all();
    }
    ::shutdown(socket, SHUT_RDWR);
  }

  /// False: it left.
  bool answer(int socket, const Message& m) {
    std::unique_lock lock(mutex_);
    std::string value;
    bool good = true;
    if (m.what == kBye) return false;
    if (m.what == kSet) {
      values_[m.key] = m.value;
      changed_.notify_all();
    } else if (m.what == kGet) {
      good = changed_.wait_for(lock, m.limit, [&] { return stopping_ || values_.count(m.key) > 0; }) && !stopping_;
      if (good) value = values_[m.key];
    } else if (m.what == kGone) {
      changed_.wait_for(lock, m.limit, [&] { return stopping_ || gone_ >= 0; });
      value = std::to_string(gone_);
    } else {
      good = false;
    }
    lock.unlock();
    send_message(socket, good ? kGood : kNo, "", value, {});
    return true;
  }

  const std::string token_;
  int listener_ = -1, port_ = 0, gone_ = -1;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, std::string> values_;
  std::list<Connection> connections_;
  bool stopping_ = false;
  std::thread acceptor_;
};

StoreServer::StoreServer(const std::string& host, int port, std::string token)
    : impl_(std::make_unique<Impl>(host, port, std::move(token))) {}
StoreServer::~StoreServer() = default;
int StoreServer::port() const {
  return impl_->port();
}

StoreClient::StoreClient(const std::string& host, int port, const std::string& token, int rank, milliseconds limit)
    : where_(fmt::format("{}:{}", host, port)) {
  const auto end = steady_clock::now() + limit;
  const Address address = resolve(host, port);
  for (;;) {
    socket_ = ::socket(address.family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (::connect(socket_, reinterpret_cast<const sockaddr*>(&address.storage), address.bytes) == 0) break;
    const std::string why = std::strerror(errno);
    ::close(socket_);
    socket_ = -1;
    if (steady_clock::now() >= end) {
      throw DeviceError(fmt::format("rank {}: no rendezvous at {} within {} s: {}", rank, where_,
                                    std::chrono::duration<double>(limit).count(), why));
    }
    std::this_thread::sleep_for(milliseconds(50));
  }
  const int yes = 1;
  ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  sockaddr_storage own{};
  socklen_t bytes = sizeof own;
  ::getsockname(socket_, reinterpret_cast<sockaddr*>(&own), &bytes);
  std::array<char, NI_MAXHOST> name{};
  ::getnameinfo(reinterpret_cast<sockaddr*>(&own), bytes, name.data(), name.size(), nullptr, 0, NI_NUMERICHOST);
  own_address_ = name.data();
  try {
    ask(kHello, std::to_string(rank), token, limit);
  } catch (...) {
    ::close(socket_);
    throw;
  }
}

StoreClient::~StoreClient() {
  leave();
  ::close(socket_);
}

std::string StoreClient::ask(char what, const std::string& key, const std::string& value, milliseconds limit) {
  if (key.size() > kStoreKey_bytes || value.size() > kStoreValue_bytes) {
    throw std::logic_error(fmt::format("rendezvous: \"{}\" is longer than is allowed", key.substr(0, 40)));
  }
  const std::lock_guard lock(mutex_);
  limit_reads(socket_, limit + std::chrono::seconds(2));
  std::optional<Message> answer;
  if (send_message(socket_, what, key, value, limit)) answer = read_message(socket_);
  if (!answer) throw DeviceError(fmt::format("rendezvous at {}: the connection broke", where_));
  if (answer->what != kGood) {
    throw DeviceError(fmt::format("rendezvous at {}: {}", where_,
                                  answer->value.empty()
                                      ? fmt::format("nobody gave \"{}\" within {} s: are all ranks started?", key,
                                                    std::chrono::duration<double>(limit).count())
                                      : answer->value));
  }
  return answer->value;
}

void StoreClient::set(const std::string& key, const std::string& value) {
  ask(kSet, key, value, std::chrono::seconds(10));
}
std::string StoreClient::get(const std::string& key, milliseconds limit) {
  return ask(kGet, key, "", limit);
}
int StoreClient::gone(milliseconds limit) {
  return std::atoi(ask(kGone, "", "", limit).c_str());
}
void StoreClient::leave() noexcept {
  const std::lock_guard lock(mutex_);
  send_message(socket_, kBye, "", "", {});
}

}  // namespace psanet
