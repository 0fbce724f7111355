#include "engine/distributed/store_server.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <list>
#include <map>
#include <optional>
#include <thread>
#include <vector>

#include "engine/distributed/tcp.h"
#include "engine/error.h"

namespace psanet {

namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::chrono::seconds kHello_limit{10};
constexpr uint32_t kHello_bytes = 4096;
constexpr size_t kMost_frame_bytes = kStoreValue_bytes + kStoreKey_bytes + 64;

/// A name that is not plainly this machine itself may be known to others by another address than here (Debian gives a
/// machine's own name 127.0.1.1), so then it is all of them.
Socket listen_on(const std::string& host, int port) {
  std::string why;
  for (const std::string& name : is_loopback(host) ? std::vector{host} : std::vector<std::string>{"::", "0.0.0.0"}) {
    for (const Address& address : resolve(name, port, why)) {
      if (Socket listener = Socket::listening(address, why)) return listener;
    }
  }
  throw DeviceError(fmt::format("rendezvous: cannot listen on {}:{}: {}", host, port, why));
}

/// The number of a rank, or -1.
int rank_of(const std::string& text) {
  int rank = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), rank);
  return error == std::errc() && end == text.data() + text.size() ? rank : -1;
}

}  // namespace

/// One thread that waits for all connections at once. Of each it takes one request at a time and reads no further
/// before the answer is written.
class StoreServer::Impl {
 public:
  Impl(const std::string& host, int port, std::string token, std::string keeper)
      : token_(std::move(token)), keeper_(std::move(keeper)), listener_(listen_on(host, port)) {
    wake_ = Socket(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    thread_ = std::thread([this] { serve(); });
  }

  ~Impl() {
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(wake_.number(), &one, sizeof one);  // cannot fail: far from full
    thread_.join();
  }

  int port() const { return listener_.own_end().port(); }

 private:
  struct Connection {
    explicit Connection(Socket s) : socket(std::move(s)) {}
    bool stranger() const { return rank < 0; }
    /// No more is read before a request is taken.
    bool full() const { return in.size() >= (stranger() ? kHello_bytes : kMost_frame_bytes); }

    Socket socket;
    int rank = -1;  // of those that have said the token
    std::string in, out;
    steady_clock::time_point since = steady_clock::now();
    std::optional<Frame> waiting;  // for a value, until:
    steady_clock::time_point until;
    bool left = false, done = false;  // it has said goodbye; to be closed once `out` is written
  };

  void serve() {
    std::vector<pollfd> waited;
    for (;;) {
      waited = {{wake_.number(), POLLIN, 0}, {listener_.number(), POLLIN, 0}};
      for (const Connection& c : connections_) {
        const int events = !c.out.empty() ? POLLOUT : c.full() ? 0 : POLLIN;
        waited.push_back({c.socket.number(), static_cast<short>(events), 0});
      }
      ::poll(waited.data(), waited.size(), static_cast<int>(milliseconds_to_next()));
      if (waited[0].revents != 0) return;
      size_t i = 2;
      for (Connection& c : connections_) {
        if (waited[i++].revents & (POLLIN | POLLHUP | POLLERR)) read(c);
      }
      if (waited[1].revents != 0) accept();
      for (bool again = true; again;) {  // an answer may be another's news
        again = false;
        for (Connection& c : connections_) again |= take_request(c) | answer_waiting(c);
      }
      for (Connection& c : connections_) {
        if (c.stranger() && steady_clock::now() >= c.since + kHello_limit) c.done = true;
        write(c);
      }
      connections_.remove_if([](const Connection& c) { return c.done && c.out.empty(); });
    }
  }

  /// Until something has to be done though nothing comes in.
  int64_t milliseconds_to_next() const {
    auto next = steady_clock::now() + std::chrono::hours(1);
    for (const Connection& c : connections_) {
      if (c.stranger()) next = std::min(next, c.since + kHello_limit);
      if (c.waiting) next = failure_.empty() ? std::min(next, c.until) : steady_clock::now();
    }
    return std::max<int64_t>(0, std::chrono::ceil<milliseconds>(next - steady_clock::now()).count());
  }

  void accept() {
    while (Socket socket = listener_.accept()) connections_.emplace_back(std::move(socket));
    // Whoever has not said the token yet may be anybody: the oldest of too many has to go.
    int strangers = 0;
    for (auto c = connections_.rbegin(); c != connections_.rend(); ++c) {
      if (c->stranger() && ++strangers > kStore_strangers) c->done = true;
    }
  }

  void read(Connection& c) {
    auto got = Socket::Got::something;
    if (c.full()) got = Socket::Got::end;  // nothing was to be read, so that is what has been seen
    while (!c.full() && got == Socket::Got::something) got = c.socket.read(c.in);
    if (got != Socket::Got::end) return;
    while (take_request(c)) {  // its last words, a goodbye perhaps
    }
    end(c);
  }

  /// Works on the next request, if there is a whole one and the last one has been answered.
  bool take_request(Connection& c) {
    write(c);
    if (c.done || c.waiting || !c.out.empty()) return false;
    try {
      std::optional<Frame> frame = take_frame(c.in, c.stranger() ? kHello_bytes : kStoreValue_bytes);
      if (frame) handle(c, std::move(*frame));
      return frame.has_value();
    } catch (const ProtocolError&) {
      end(c);
      return false;
    }
  }

  static void answer(Connection& c, const Frame& request, bool good, const std::string& value) {
    c.out += encode({good ? FrameKind::yes : FrameKind::no, request.id, "", value});
  }

  void handle(Connection& c, Frame frame) {
    if (c.stranger()) {
      const std::string refused = why_not(frame);
      if (refused.empty()) welcome(c, rank_of(frame.key));
      answer(c, frame, refused.empty(), refused.empty() ? keeper_ : refused);
      if (refused.empty() && !failure_.empty()) c.out += news();
      c.done = !refused.empty();
    } else if (frame.kind == FrameKind::bye) {
      c.left = c.done = true;
    } else if (frame.kind == FrameKind::failed) {
      failed(c.rank, frame.value);
      c.left = true;
      answer(c, frame, true, "");
    } else if (frame.kind == FrameKind::set) {
      const std::string refused = keep(frame.key, frame.value);
      answer(c, frame, refused.empty(), refused);
    } else if (frame.kind == FrameKind::get) {
      c.until = steady_clock::now() + frame.limit;
      c.waiting = std::move(frame);
    } else {
      end(c);
    }
  }

  std::string why_not(const Frame& hello) const {
    if (hello.kind != FrameKind::hello || hello.value != token_) return "another job's rendezvous (the token differs)";
    if (rank_of(hello.key) < 0) return fmt::format("\"{}\" is no rank", hello.key);
    const auto clients = std::count_if(connections_.begin(), connections_.end(), [](auto& c) { return !c.stranger(); });
    if (clients >= kStore_clients) return fmt::format("{} connections are the most", kStore_clients);
    return {};
  }

  void welcome(Connection& c, int rank) {
    c.rank = rank;
    const std::string here = c.socket.own_end().text();
    if (!is_loopback(here) && values_.count(kStoreServer_address) == 0) keep(kStoreServer_address, here);
  }

  /// Empty, or why it is not kept.
  std::string keep(const std::string& key, const std::string& value) {
    const auto old = values_.find(key);
    const bool is_new = old == values_.end();
    const size_t bytes = bytes_ + value.size() + (is_new ? key.size() : 0) - (is_new ? 0 : old->second.size());
    if (values_.size() + is_new > kStore_keys || bytes > kStore_bytes) {
      return fmt::format("\"{}\": the store is full: it keeps {} values and {} bytes at most", key, kStore_keys,
                         kStore_bytes);
    }
    values_[key] = value;
    bytes_ = bytes;
    return {};
  }

  bool answer_waiting(Connection& c) {
    if (!c.waiting) return false;
    const auto found = values_.find(c.waiting->key);
    const bool there = found != values_.end();
    if (!there && failure_.empty() && steady_clock::now() < c.until) return false;
    answer(c, *c.waiting, there, there ? found->second : failure_);
    c.waiting.reset();
    return true;
  }

  void write(Connection& c) {
    if (c.socket.write(c.out)) return;
    c.out.clear();
    end(c);
  }

  /// The other end is gone, or talks nonsense.
  void end(Connection& c) {
    c.done = true;
    c.waiting.reset();
    if (!c.stranger() && !c.left) failed(c.rank, "");
    c.left = true;
  }

  /// A rank has ended by an error and says why, or is gone. What follows from that is no news. The others are told
  /// before it is answered: this may be its own process, which then ends.
  void failed(int rank, const std::string& why) {
    if (!failure_.empty()) return;
    failure_ = why.empty() ? fmt::format("rank {} is gone", rank) : fmt::format("rank {} has failed: {}", rank, why);
    for (Connection& c : connections_) {
      if (c.stranger() || c.done || c.rank == rank) continue;
      c.out += news();
      write(c);
    }
  }

  std::string news() const { return encode({FrameKind::ended, 0, "", failure_}); }

  const std::string token_, keeper_;
  const Socket listener_;
  Socket wake_;
  std::string failure_;  // which rank has ended by an error, in words
  std::map<std::string, std::string> values_;
  size_t bytes_ = 0;  // of keys and values
  std::list<Connection> connections_;
  std::thread thread_;
};

StoreServer::StoreServer(const std::string& host, int port, std::string token, std::string keeper)
    : impl_(std::make_unique<Impl>(host, port, std::move(token), std::move(keeper))) {}
StoreServer::~StoreServer() = default;
int StoreServer::port() const {
  return impl_->port();
}

}  // namespace psanet
