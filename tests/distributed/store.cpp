// The store by which ranks find each other: values, who has ended, its limits, and what servers and clients that do not
// keep to the protocol do to it.
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <vector>

#include "engine/distributed/store_client.h"
#include "engine/error.h"
#include "tests/distributed/ranks.h"
#include "tests/support/catch.h"

namespace psanet::tests {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

TEST_CASE("store: a value is waited for, another job and a missing value are refused") {
  const StoreServer server("127.0.0.1", 0, "token");
  StoreClient a("127.0.0.1", server.port(), "token", 0, milliseconds(1000));
  std::string seen;
  std::thread other([&] {
    StoreClient b("127.0.0.1", server.port(), "token", 1, milliseconds(1000));
    seen = b.get("key", milliseconds(5000));
  });
  std::this_thread::sleep_for(milliseconds(20));
  a.set("key", std::string("a\0b", 3));
  other.join();
  CHECK(seen == std::string("a\0b", 3));
  CHECK(a.own_address() == "127.0.0.1");

  CHECK(contains(message_of<DeviceError>([&] { a.get("nothing", milliseconds(50)); }),
                 "nobody gave \"nothing\" within 0.05 s: are all ranks started?"));
  CHECK(contains(
      message_of<DeviceError>([&] { StoreClient("127.0.0.1", server.port(), "other", 1, milliseconds(1000)); }),
      "another job's rendezvous"));
  CHECK(message_of<std::logic_error>([&] { a.set("big", std::string(kStoreValue_bytes + 1, 'x')); }) !=
        "nothing was thrown");
  CHECK(message_of<std::logic_error>([&] { a.set(std::string(kStoreKey_bytes + 1, 'x'), ""); }) !=
        "nothing was thrown");
  CHECK(a.get("key", milliseconds(50)).size() == 3);  // the refusals broke nothing
}

TEST_CASE("store: loopback is listened on alone and a name of this machine everywhere") {
  CHECK(is_loopback("localhost"));
  CHECK(is_loopback("127.0.1.1"));
  CHECK(is_loopback("::1"));
  CHECK_FALSE(is_loopback("10.0.0.1"));
  CHECK_FALSE(is_loopback("node1"));
  {
    const StoreServer server("127.0.0.2", 0, "token");
    StoreClient there("127.0.0.2", server.port(), "token", 0, milliseconds(1000));
    CHECK(there.own_address().rfind("127.", 0) == 0);
    CHECK(contains(
        message_of<DeviceError>([&] { StoreClient("127.0.0.1", server.port(), "token", 1, milliseconds(50)); }),
        "refused"));
  }
  {
    const StoreServer server("localhost", 0, "token");
    StoreClient("localhost", server.port(), "token", 0, milliseconds(1000));
  }
  std::array<char, 256> name{};
  REQUIRE(::gethostname(name.data(), name.size() - 1) == 0);
  const StoreServer server(name.data(), 0, "token");
  for (const char* address : {"127.0.0.1", "127.0.0.2"}) {
    StoreClient(address, server.port(), "token", 0, milliseconds(1000));
  }
  StoreClient client("127.0.0.1", server.port(), "token", 0, milliseconds(1000));
  CHECK(contains(message_of<DeviceError>([&] { client.get(kStoreServer_address, milliseconds(20)); }), "nobody gave"));
  CHECK(contains(
      message_of<DeviceError>([&] { StoreClient("no-such-machine.invalid", 1, "token", 0, milliseconds(100)); }),
      "rank 0: no rendezvous at no-such-machine.invalid:1 within 0.1 s: "));
}

/// A connection that says what it likes.
class Stranger {
 public:
  explicit Stranger(int port) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  }
  ~Stranger() { ::close(socket_); }
  Stranger(const Stranger&) = delete;
  Stranger& operator=(const Stranger&) = delete;

  void say(const std::string& bytes) const { ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL); }
  /// Has the server closed it, within so many milliseconds?
  bool closed(int within_ms) const {
    pollfd waited{socket_, POLLIN, 0};
    char byte = 0;
    return ::poll(&waited, 1, within_ms) == 1 && ::recv(socket_, &byte, 1, 0) <= 0;
  }

 private:
  int socket_;
};

int open_files() {
  const std::filesystem::directory_iterator files("/proc/self/fd");
  return static_cast<int>(std::distance(begin(files), end(files)));
}

TEST_CASE("store: strangers are sent away and hold up nobody") {
  const StoreServer server("127.0.0.1", 0, "token");
  StoreClient first("127.0.0.1", server.port(), "token", 0, milliseconds(1000));
  const int files = open_files();
  {
    const Stranger nonsense(server.port());
    nonsense.say("GET / HTTP/1.1\r\nHost: here\r\n\r\n");
    CHECK(nonsense.closed(5000));
    const Stranger large(server.port());
    large.say(encode({FrameKind::hello, 1, "1", std::string(65535, 'x')}));
    CHECK(large.closed(5000));
  }
  std::vector<std::unique_ptr<Stranger>> silent;
  for (int i = 0; i < 300; ++i) silent.push_back(std::make_unique<Stranger>(server.port()));
  StoreClient second("127.0.0.1", server.port(), "token", 1, milliseconds(5000));
  second.set("key", "value");
  CHECK(first.get("key", milliseconds(1000)) == "value");
  CHECK(silent.front()->closed(5000));
  CHECK_FALSE(silent.back()->closed(0));
  silent.clear();
  for (int i = 0; i < 200; ++i) {
    CHECK(contains(
        message_of<DeviceError>([&] { StoreClient("127.0.0.1", server.port(), "other", 1, milliseconds(1000)); }),
        "another job's rendezvous"));
  }
  for (int i = 0; i < 1000 && open_files() > files + 2; ++i) std::this_thread::sleep_for(milliseconds(5));
  CHECK(open_files() <= files + 2);  // the second client and its end at the server
  CHECK(first.failure(milliseconds(20)).empty());
}

TEST_CASE("store: whoever says the token a letter at a time has ten seconds in all") {
  const StoreServer server("127.0.0.1", 0, "token");
  const Stranger slow(server.port());
  slow.say(encode({FrameKind::hello, 1, "1", std::string(200, '1')}).substr(0, 30));
  const auto start = std::chrono::steady_clock::now();
  double seconds = 0;
  while (seconds < 20 && !slow.closed(500)) {
    slow.say("1");
    seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }
  CHECK(seconds > 8);
  CHECK(seconds < 15);
}

TEST_CASE("store: no server and a taken port are one line") {
  int port = 0;
  {
    const StoreServer server("127.0.0.1", 0, "token");
    port = server.port();
    CHECK(contains(message_of<DeviceError>([&] { StoreServer("127.0.0.1", port, "token"); }), "cannot listen on"));
  }
  CHECK(contains(message_of<DeviceError>([&] { StoreClient("127.0.0.1", port, "token", 3, milliseconds(100)); }),
                 "rank 3: no rendezvous at"));
}

TEST_CASE("store: the first rank that ends by an error is known to all and one that left is not") {
  const StoreServer server("127.0.0.1", 0, "token");
  const auto client = [&](int rank) {
    return std::make_unique<StoreClient>("127.0.0.1", server.port(), "token", rank, milliseconds(1000));
  };
  const auto a = client(0);
  client(1);  // its destructor leaves
  CHECK(a->failure(milliseconds(50)).empty());
  std::string waiting;
  const auto d = client(4);
  std::thread waits([&] { waiting = message_of<DeviceError>([&] { d->get("never", milliseconds(60'000)); }); });
  SECTION("it says why") {
    client(2)->fail("a file\nis wrong");
    CHECK(a->failure(milliseconds(5000)) == "rank 2 has failed: a file is wrong");
  }
  SECTION("its connection breaks") {
    const Stranger broken(server.port());
    broken.say(encode({FrameKind::hello, 1, "2", "token"}) + "what it says then is nonsense, as if it were cut off");
    CHECK(a->failure(milliseconds(5000)) == "rank 2 is gone");
  }
  waits.join();
  CHECK(contains(waiting, "rank 2 "));  // whoever waits for a value waits no more
  client(3)->fail("because of rank 2");
  const auto late = client(5);
  CHECK(late->failure(milliseconds(5000)).rfind("rank 2 ", 0) == 0);
  late->set("key", "value");
  CHECK(a->get("key", milliseconds(1000)) == "value");  // what is there is still given
}

/// In the store's place: one client, which it treats as the test wants.
class OwnServer {
 public:
  explicit OwnServer(const std::function<void(OwnServer&)>& treat) {
    std::string why;
    listener_ = Socket::listening(resolve("0.0.0.0", 0, why).at(0), why);
    thread_ = std::thread([this, treat] {
      listener_.wait(POLLIN, steady_clock::now() + std::chrono::seconds(10));
      client_ = listener_.accept();
      answer(next(), "rank 0");  // to the token
      treat(*this);
      client_.close();
    });
  }
  ~OwnServer() { thread_.join(); }
  int port() const { return listener_.own_end().port(); }

  Frame next() {
    for (;;) {
      if (auto frame = take_frame(in_)) return *frame;
      if (!client_.wait(POLLIN, steady_clock::now() + std::chrono::seconds(10))) return {};
      if (client_.read(in_) == Socket::Got::end) return {};
    }
  }
  void answer(const Frame& request, const std::string& value) {
    std::string bytes = encode({FrameKind::yes, request.id, "", value});
    client_.write(bytes);
  }

 private:
  Socket listener_, client_;
  std::string in_;
  std::thread thread_;
};

double seconds_since(steady_clock::time_point start) {
  return std::chrono::duration<double>(steady_clock::now() - start).count();
}

TEST_CASE("store: an answer that comes late is never taken for another's") {
  OwnServer server([](OwnServer& s) {
    const Frame first = s.next();
    std::this_thread::sleep_for(milliseconds(2500));  // longer than the client waits
    s.answer(first, "of the first");
    s.answer(s.next(), "of the second");
  });
  StoreClient client("127.0.0.1", server.port(), "token", 1, milliseconds(5000));
  const auto start = steady_clock::now();
  CHECK(contains(message_of<DeviceError>([&] { client.get("first", milliseconds(100)); }),
                 "no answer in time; the connection has been closed"));
  CHECK(seconds_since(start) < 2.4);
  std::this_thread::sleep_for(milliseconds(600));
  CHECK(contains(message_of<DeviceError>([&] { client.get("second", milliseconds(100)); }),
                 "no answer in time; the connection has been closed"));
  CHECK(client.failure(milliseconds(10)).empty());  // nobody said that anybody has ended
}

TEST_CASE("store: an answer to another request closes the connection") {
  OwnServer server([](OwnServer& s) {
    Frame first = s.next();
    ++first.id;
    s.answer(first, "wrong");
    s.next();
  });
  StoreClient client("127.0.0.1", server.port(), "token", 1, milliseconds(5000));
  CHECK(contains(message_of<DeviceError>([&] { client.get("first", milliseconds(100)); }),
                 "an answer to another request; the connection has been closed"));
  CHECK(contains(message_of<DeviceError>([&] { client.set("second", "value"); }), "an answer to another request"));
}

TEST_CASE("store: its silence is no evidence but its end is") {
  OwnServer server([](OwnServer& s) { s.next(); });  // until the client says something
  StoreClient client("127.0.0.1", server.port(), "token", 1, milliseconds(5000));
  const auto start = steady_clock::now();
  CHECK(client.failure(milliseconds(0)).empty());
  CHECK(client.failure(milliseconds(300)).empty());
  CHECK(seconds_since(start) < 1);
  std::thread asks([&] { CHECK_THROWS_AS(client.get("key", milliseconds(5000)), DeviceError); });
  asks.join();
  CHECK(client.failure(milliseconds(0)) == "rank 0 is gone");
}

TEST_CASE("store: connecting keeps its limit whatever is at the other end") {
  std::string why;
  const Socket silent = Socket::listening(resolve("0.0.0.0", 0, why).at(0), why);  // takes connections and says nothing
  const Socket full = Socket::listening(resolve("0.0.0.0", 0, why).at(0), why);
  ::listen(full.number(), 0);
  std::vector<std::unique_ptr<Stranger>> waiting;  // who comes behind them does not even get an answer of TCP's
  waiting.push_back(std::make_unique<Stranger>(full.own_end().port()));
  const auto connect = [&](const Socket& to) {
    const auto start = steady_clock::now();
    const std::string said =
        message_of<DeviceError>([&] { StoreClient("127.0.0.1", to.own_end().port(), "token", 1, milliseconds(300)); });
    CHECK(seconds_since(start) < 1.5);
    return said;
  };
  CHECK(contains(connect(silent), "no answer in time"));
  CHECK(contains(connect(full), "within 0.3 s: Connection timed out"));
}

TEST_CASE("store: what it keeps for whoever knows the token is bounded") {
  const StoreServer server("127.0.0.1", 0, "token");
  StoreClient client("127.0.0.1", server.port(), "token", 0, milliseconds(1000));
  const std::string large(kStoreValue_bytes, 'x');
  const auto fill = [&](const std::string& value) {
    size_t kept = 0;
    std::string said;
    while (said.empty() && kept <= kStore_keys) {
      try {
        client.set("key " + std::to_string(kept), value);
        ++kept;
      } catch (const DeviceError& e) {
        said = e.what();
      }
    }
    CHECK(contains(said, "the store is full: it keeps 16384 values and 67108864 bytes at most"));
    return kept;
  };
  SECTION("bytes") {
    CHECK(fill(large) == kStore_bytes / kStoreValue_bytes - 1);  // the keys take the rest
    client.set("key 0", "small");                                // in the place of a large one
    client.set("another", "value");
  }
  SECTION("values") {
    CHECK(fill("") == kStore_keys);
  }
  CHECK(client.get("key 1", milliseconds(1000)).size() <= kStoreValue_bytes);
}

TEST_CASE("store: connections of whoever knows the token are bounded") {
  rlimit files{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &files) == 0);
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);
  if (files.rlim_cur < 2 * kStore_clients + 100) {
    WARN("SKIPPED: too few open files are allowed");
    return;
  }
  const StoreServer server("127.0.0.1", 0, "token");
  std::vector<std::unique_ptr<StoreClient>> clients;
  const auto connect = [&] {
    clients.push_back(std::make_unique<StoreClient>("127.0.0.1", server.port(), "token", 1, milliseconds(5000)));
  };
  for (int i = 0; i < kStore_clients; ++i) connect();
  CHECK(contains(message_of<DeviceError>(connect), "512 connections are the most"));
  clients.pop_back();
  connect();
}

/// Of this process, in memory.
size_t resident_bytes() {
  size_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages >> pages;
  return pages * static_cast<size_t>(::sysconf(_SC_PAGESIZE));
}

TEST_CASE("store: whoever asks and does not read fills no memory") {
  const StoreServer server("127.0.0.1", 0, "token");
  StoreClient client("127.0.0.1", server.port(), "token", 0, milliseconds(1000));
  client.set("key", std::string(kStoreValue_bytes, 'x'));
  const Stranger greedy(server.port());
  greedy.say(encode({FrameKind::hello, 1, "1", "token"}));
  const size_t before = resident_bytes();
  for (uint32_t id = 2; id < 1000; ++id) greedy.say(encode({FrameKind::get, id, "key", ""}));
  for (int i = 0; i < 20; ++i) {
    client.set("other", "value");  // nobody is held up
    std::this_thread::sleep_for(milliseconds(10));
  }
  CHECK(resident_bytes() < before + (size_t{32} << 20));
}

}  // namespace
}  // namespace psanet::tests
