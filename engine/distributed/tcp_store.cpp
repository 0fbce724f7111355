#include "engine/distributed/tcp_store.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <list>
#include <map>
#include <optional>
#include <thread>
#include <vector>

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

std::string message(char what, const std::string& key, const std::string& value, milliseconds limit) {
  Header header;
  header.what = static_cast<uint32_t>(what);
  header.key_bytes = static_cast<uint32_t>(key.size());
  header.value_bytes = static_cast<uint32_t>(value.size());
  header.limit_ms = static_cast<uint32_t>(limit.count());
  return std::string(reinterpret_cast<const char*>(&header), sizeof header) + key + value;
}

bool send_all(int socket, const std::string& bytes) {
  for (size_t at = 0; at < bytes.size();) {
    const ssize_t sent = ::send(socket, bytes.data() + at, bytes.size() - at, MSG_NOSIGNAL);
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

void set(int socket, int level, int option, int value) {
  ::setsockopt(socket, level, option, &value, sizeof value);
}

/// Small messages at once; and a machine that vanishes without a word is noticed in half a minute.
void tune(int socket) {
  set(socket, IPPROTO_TCP, TCP_NODELAY, 1);
  set(socket, SOL_SOCKET, SO_KEEPALIVE, 1);
  set(socket, IPPROTO_TCP, TCP_KEEPIDLE, 10);
  set(socket, IPPROTO_TCP, TCP_KEEPINTVL, 5);
  set(socket, IPPROTO_TCP, TCP_KEEPCNT, 4);
}

struct Address {
  sockaddr_storage storage{};
  socklen_t bytes = 0;

  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  std::string text() const {
    std::array<char, NI_MAXHOST> name{};
    ::getnameinfo(get(), bytes, name.data(), name.size(), nullptr, 0, NI_NUMERICHOST);
    return name.data();
  }
};

/// All addresses of a name; none, and why, if there are none.
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

Address own_end(int socket) {
  Address address;
  address.bytes = sizeof address.storage;
  ::getsockname(socket, address.get(), &address.bytes);
  return address;
}

Address any_address(int family, int port) {
  Address address;
  if (family == AF_INET6) {
    sockaddr_in6 any{};
    any.sin6_family = AF_INET6;
    any.sin6_port = htons(static_cast<uint16_t>(port));
    std::memcpy(&address.storage, &any, address.bytes = sizeof any);
  } else {
    sockaddr_in any{};
    any.sin_family = AF_INET;
    any.sin_port = htons(static_cast<uint16_t>(port));
    std::memcpy(&address.storage, &any, address.bytes = sizeof any);
  }
  return address;
}

/// A listening socket, or -1 with errno.
int listen_on(const Address& address) {
  const int listener = ::socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (listener < 0) return -1;
  set(listener, SOL_SOCKET, SO_REUSEADDR, 1);
  if (address.storage.ss_family == AF_INET6) set(listener, IPPROTO_IPV6, IPV6_V6ONLY, 0);
  if (::bind(listener, address.get(), address.bytes) == 0 && ::listen(listener, 1024) == 0) return listener;
  const int error = errno;
  ::close(listener);
  errno = error;
  return -1;
}

}  // namespace

bool is_loopback(const std::string& host) {
  return host == "localhost" || host == "::1" || host.rfind("127.", 0) == 0 || host.rfind("::ffff:127.", 0) == 0;
}

/// One thread that waits for all connections at once.
class StoreServer::Impl {
 public:
  Impl(const std::string& host, int port, std::string token) : token_(std::move(token)) {
    listen(host, port);
    wake_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    thread_ = std::thread([this] { serve(); });
  }

  ~Impl() {
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(wake_, &one, sizeof one);  // cannot fail: it is far from full
    thread_.join();
    for (const Connection& c : connections_) ::close(c.socket);
    ::close(listener_);
    ::close(wake_);
  }

  int port() const { return port_; }

 private:
  /// What a rank waits for.
  struct Request {
    char what = 0;
    std::string key;
    steady_clock::time_point until;
  };
  struct Connection {
    int socket = -1, rank = -1;  // of the ranks that have said the token
    std::string in, out;
    steady_clock::time_point since = steady_clock::now();
    std::optional<Request> waiting;
    bool left = false, done = false;  // it has said goodbye; to be closed once `out` is written
  };

  /// A name that is not plainly this machine itself may be known to others by another address than here (Debian gives a
  /// machine's own name 127.0.1.1), so then it is all of them.
  void listen(const std::string& host, int port) {
    std::string why;
    if (is_loopback(host)) {
      for (const Address& address : resolve(host, port, why)) {
        if ((listener_ = listen_on(address)) >= 0) break;
        why = std::strerror(errno);
      }
    } else {
      for (const int family : {AF_INET6, AF_INET}) {
        if ((listener_ = listen_on(any_address(family, port))) >= 0) break;
        why = std::strerror(errno);
      }
    }
    if (listener_ < 0) throw DeviceError(fmt::format("rendezvous: cannot listen on {}:{}: {}", host, port, why));
    const Address own = own_end(listener_);
    port_ = ntohs(own.storage.ss_family == AF_INET6 ? reinterpret_cast<const sockaddr_in6*>(&own.storage)->sin6_port
                                                    : reinterpret_cast<const sockaddr_in*>(&own.storage)->sin_port);
  }

  void serve() {
    std::vector<pollfd> waited;
    for (;;) {
      waited = {{wake_, POLLIN, 0}, {listener_, POLLIN, 0}};
      for (const Connection& c : connections_) {
        waited.push_back({c.socket, static_cast<short>(POLLIN | (c.out.empty() ? 0 : POLLOUT)), 0});
      }
      ::poll(waited.data(), waited.size(), static_cast<int>(milliseconds_to_next()));
      if (waited[0].revents != 0) return;
      size_t i = 2;
      for (Connection& c : connections_) {
        if (waited[i].revents & (POLLIN | POLLHUP | POLLERR)) read(c);
        ++i;
      }
      if (waited[1].revents != 0) accept();
      answer_waiting();
      for (Connection& c : connections_) write(c);
      forget();
    }
  }

  /// Until something has to be done though nothing comes in.
  int64_t milliseconds_to_next() const {
    auto next = steady_clock::now() + std::chrono::hours(1);
    for (const Connection& c : connections_) {
      if (c.rank < 0) next = std::min(next, c.since + kHello_limit);
      if (c.waiting) next = std::min(next, c.waiting->until);
    }
    return std::max<int64_t>(0, std::chrono::ceil<milliseconds>(next - steady_clock::now()).count());
  }

  void accept() {
    for (int socket; (socket = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0;) {
      tune(socket);
      connections_.emplace_back().socket = socket;
    }
    // Whoever has not said the token yet may be anybody: the oldest of too many has to go.
    int strangers = 0;
    for (auto c = connections_.rbegin(); c != connections_.rend(); ++c) {
      if (c->rank < 0 && ++strangers > kMost_strangers) c->done = true;
    }
  }

  void read(Connection& c) {
    std::array<char, 65536> bytes;
    ssize_t got = 0;
    while (!c.done && (got = ::recv(c.socket, bytes.data(), bytes.size(), 0)) > 0) {
      c.in.append(bytes.data(), static_cast<size_t>(got));
      while (!c.done && take_message(c)) {
      }
    }
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) end(c);
  }

  /// A whole message from what has come in; false if there is none.
  bool take_message(Connection& c) {
    Header header;
    if (c.in.size() < sizeof header) return false;
    std::memcpy(&header, c.in.data(), sizeof header);
    const uint32_t most = c.rank < 0 ? kHello_bytes : kStoreValue_bytes;
    if (std::memcmp(header.magic, "PSA1", 4) != 0 || header.key_bytes > kStoreKey_bytes || header.value_bytes > most) {
      end(c);
      return false;
    }
    const size_t all = sizeof header + header.key_bytes + header.value_bytes;
    if (c.in.size() < all) return false;
    Message m{static_cast<char>(header.what), c.in.substr(sizeof header, header.key_bytes),
              c.in.substr(sizeof header + header.key_bytes, header.value_bytes), milliseconds(header.limit_ms)};
    c.in.erase(0, all);
    handle(c, m);
    return true;
  }

  void handle(Connection& c, const Message& m) {
    if (c.rank < 0) {
      const bool ours = m.what == kHello && m.value == token_;
      if (ours) {
        c.rank = std::atoi(m.key.c_str());
        const std::string here = own_end(c.socket).text();
        if (!is_loopback(here)) values_.emplace(kStoreServer_address, plain(here));
      }
      c.out += message(ours ? kGood : kNo, "", ours ? "" : "another job's rendezvous (the token differs)", {});
      c.done = !ours;
    } else if (m.what == kBye) {
      c.left = c.done = true;
    } else if (m.what == kSet) {
      values_[m.key] = m.value;
      c.out += message(kGood, "", "", {});
    } else if (m.what == kGet || m.what == kGone) {
      c.waiting = Request{m.what, m.key, steady_clock::now() + m.limit};
    } else {
      c.out += message(kNo, "", "", {});
    }
  }

  void answer_waiting() {
    for (Connection& c : connections_) {
      if (c.rank < 0 && steady_clock::now() >= c.since + kHello_limit) c.done = true;
      if (!c.waiting) continue;
      const bool late = steady_clock::now() >= c.waiting->until;
      if (c.waiting->what == kGone) {
        if (gone_ < 0 && !late) continue;
        c.out += message(kGood, "", std::to_string(gone_), {});
      } else {
        const auto found = values_.find(c.waiting->key);
        if (found == values_.end() && !late) continue;
        c.out += found == values_.end() ? message(kNo, "", "", {}) : message(kGood, "", found->second, {});
      }
      c.waiting.reset();
    }
  }

  void write(Connection& c) {
    while (!c.out.empty()) {
      const ssize_t sent = ::send(c.socket, c.out.data(), c.out.size(), MSG_NOSIGNAL);
      if (sent < 0 && errno == EINTR) continue;
      if (sent < 0 && errno == EAGAIN) return;
      if (sent <= 0) {
        c.out.clear();
        end(c);
        return;
      }
      c.out.erase(0, static_cast<size_t>(sent));
    }
  }

  /// The other end is gone, or talks nonsense.
  void end(Connection& c) {
    c.done = true;
    if (c.rank >= 0 && !c.left && gone_ < 0) gone_ = c.rank;
  }

  void forget() {
    connections_.remove_if([](const Connection& c) {
      if (!c.done || !c.out.empty()) return false;
      ::close(c.socket);
      return true;
    });
  }

  /// Without the prefix that an IPv4 address has where IPv6 is listened on.
  static std::string plain(const std::string& address) {
    const std::string prefix = "::ffff:";
    return address.rfind(prefix, 0) == 0 ? address.substr(prefix.size()) : address;
  }

  static constexpr std::chrono::seconds kHello_limit{10};
  static constexpr int kMost_strangers = 128;
  static constexpr uint32_t kHello_bytes = 4096;

  const std::string token_;
  int listener_ = -1, wake_ = -1, port_ = 0, gone_ = -1;
  std::map<std::string, std::string> values_;
  std::list<Connection> connections_;
  std::thread thread_;
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
  std::string why;
  while (socket_ < 0) {
    for (const Address& address : resolve(host, port, why)) {  // anew each time: a machine may get its name later
      socket_ = ::socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
      if (::connect(socket_, address.get(), address.bytes) == 0) break;
      why = std::strerror(errno);
      ::close(socket_);
      socket_ = -1;
    }
    if (socket_ >= 0) break;
    if (steady_clock::now() >= end) {
      throw DeviceError(fmt::format("rank {}: no rendezvous at {} within {} s: {}", rank, where_,
                                    std::chrono::duration<double>(limit).count(), why));
    }
    std::this_thread::sleep_for(milliseconds(50));
  }
  tune(socket_);
  own_address_ = own_end(socket_).text();
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
  if (send_all(socket_, message(what, key, value, limit))) answer = read_message(socket_);
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
  send_all(socket_, message(kBye, "", "", {}));
}

}  // namespace psanet
