// The store by which ranks find each other, and the collectives themselves.
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <filesystem>
#include <memory>
#include <vector>

#include "engine/error.h"
#include "tests/distributed/ranks.h"
#include "tests/support/catch.h"

namespace psanet::tests {
namespace {

using std::chrono::milliseconds;

template <class E, class F>
std::string message_of(F&& f) {
  try {
    f();
  } catch (const E& e) {
    return e.what();
  }
  return "nothing was thrown";
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

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
    large.say(std::string("PSA1H\0\0\0\1\0\0\0\xff\xff\0\0\0\0\0\0", 20));  // a token of 65535 bytes
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
  CHECK(first.gone(milliseconds(20)) == -1);
}

TEST_CASE("store: whoever says the token a letter at a time has ten seconds in all") {
  const StoreServer server("127.0.0.1", 0, "token");
  const Stranger slow(server.port());
  slow.say(std::string("PSA1H\0\0\0\xc8\0\0\0\0\0\0\0\0\0\0\0", 20));  // 200 bytes follow
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

TEST_CASE("store: the first rank whose connection breaks is known, one that left is not gone") {
  const StoreServer server("127.0.0.1", 0, "token");
  StoreClient a("127.0.0.1", server.port(), "token", 0, milliseconds(1000));
  { StoreClient b("127.0.0.1", server.port(), "token", 1, milliseconds(1000)); }  // its destructor leaves
  CHECK(a.gone(milliseconds(50)) == -1);
}

TEST_CASE("communicator: sums, copies and barriers for 2 and 4 ranks with the same bits on all") {
  if (!has_gloo()) {
    WARN("SKIPPED: built without Gloo");
    return;
  }
  for (const int world : {2, 4}) {
    std::vector<std::vector<float>> results(static_cast<size_t>(world));
    on_ranks(world, [&](const std::shared_ptr<HostCommunicator>& c) {
      const auto rank = static_cast<size_t>(c->rank());
      std::vector<int64_t> count = {int64_t{1} << 40, c->rank()};
      c->all_reduce("count", count);
      std::vector<double> all(2 * static_cast<size_t>(world)), mine = {0.5, static_cast<double>(c->rank())};
      c->all_gather("all", mine, all);
      std::vector<int> word = {c->rank() == 1 ? 77 : 0};
      c->broadcast("word", std::as_writable_bytes(std::span(word)), 1);
      std::vector<float> first(1000), second(3);
      for (size_t i = 0; i < first.size(); ++i) first[i] = 0.1f * static_cast<float>(i * (rank + 1));
      second[0] = 1;
      c->start_all_reduce("first", first);
      c->start_all_reduce("second", second);
      std::vector<double> meanwhile = {1.5};
      c->all_reduce("meanwhile", meanwhile);
      c->wait();
      c->wait();
      c->barrier("end");
      if (count != std::vector<int64_t>{(int64_t{1} << 40) * world, world * (world - 1) / 2} ||
          all[2 * static_cast<size_t>(world) - 1] != world - 1 || word[0] != 77 || meanwhile[0] != 1.5 * world ||
          second[0] != static_cast<float>(world)) {
        throw std::runtime_error("a collective is wrong");
      }
      results[rank] = first;
    });
    const double factor = world * (world + 1) / 2;
    for (size_t i = 0; i < 1000; ++i) CHECK(results[0][i] == Approx(0.1 * factor * static_cast<double>(i)));
    for (const auto& other : results) CHECK(other == results[0]);
  }
}

TEST_CASE("communicator: a rank that goes or that does not come is an error that names the collective") {
  if (!has_gloo()) {
    WARN("SKIPPED: built without Gloo");
    return;
  }
  for (const bool comes_late : {false, true}) {
    std::string said, again;
    on_ranks(
        2,
        [&](const std::shared_ptr<HostCommunicator>& c) {
          c->set_step(12);
          if (c->rank() == 1) {
            if (comes_late) std::this_thread::sleep_for(milliseconds(1500));
            return;
          }
          std::vector<float> x(10);
          said = message_of<CommunicationError>([&] { c->all_reduce("wanted", x); });
          again = message_of<CommunicationError>([&] { c->barrier("behind it"); });
          c->start_all_reduce("never", x);
          c->drain();
        },
        milliseconds(600));
    CHECK(contains(said, "rank 0 of 2, step 12: all_reduce \"wanted\": "));
    CHECK(contains(again, "barrier \"behind it\": an earlier collective has failed"));
  }
}

}  // namespace
}  // namespace psanet::tests
