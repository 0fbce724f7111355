// The collectives of ranks on processors: their values, and what a failure of one says to the others.
#include <condition_variable>
#include <mutex>
#include <vector>

#include "tests/distributed/ranks.h"
#include "tests/support/catch.h"

namespace psanet::tests {
namespace {

using std::chrono::milliseconds;

TEST_CASE("communicator: sums, copies and barriers for 1 to 4 ranks with the same bits on all") {
  if (!has_gloo()) {
    WARN("SKIPPED: built without Gloo");
    return;
  }
  for (const int world : {1, 2, 4}) {
    std::vector<std::vector<float>> results(static_cast<size_t>(world));
    on_ranks(world, [&](const std::shared_ptr<HostCommunicator>& c) {
      const auto rank = static_cast<size_t>(c->rank());
      std::vector<int64_t> count = {int64_t{1} << 40, c->rank()};
      c->all_reduce("count", count);
      std::vector<double> all(2 * static_cast<size_t>(world)), mine = {0.5, static_cast<double>(c->rank())};
      c->all_gather("all", mine, all);
      std::vector<int> word = {c->rank() == world - 1 ? 77 : 0};
      c->broadcast("word", std::as_writable_bytes(std::span(word)), world - 1);
      std::vector<float> first(1000), second(3);
      for (size_t i = 0; i < first.size(); ++i) first[i] = 0.1f * static_cast<float>(i * (rank + 1));
      second[0] = 1;
      c->start_all_reduce("first", first);
      c->start_all_reduce("second", second);
      std::vector<int64_t> meanwhile = {3};
      c->all_reduce("meanwhile", meanwhile);
      c->wait();
      c->wait();
      c->barrier("end");
      if (count != std::vector<int64_t>{(int64_t{1} << 40) * world, world * (world - 1) / 2} ||
          all[2 * static_cast<size_t>(world) - 1] != world - 1 || word[0] != 77 || meanwhile[0] != 3 * world ||
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

TEST_CASE(
    "communicator: a rank that has failed ends the others though its process and its connections are still there") {
  if (!has_gloo()) {
    WARN("SKIPPED: built without Gloo");
    return;
  }
  std::mutex mutex;
  std::condition_variable changed;
  std::string said;
  double seconds = 60;
  on_ranks(
      2,
      [&](const std::shared_ptr<HostCommunicator>& c) {
        const auto start = std::chrono::steady_clock::now();
        std::unique_lock lock(mutex);
        if (c->rank() == 1) {
          c->fail("the disk is full");
          changed.wait_for(lock, std::chrono::seconds(20), [&] { return !said.empty(); });
          return;
        }
        lock.unlock();
        c->on_failure([&](const std::string& line) {
          const std::lock_guard own(mutex);
          said = line;
          seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
          changed.notify_all();
        });
        std::vector<float> x(10);
        CHECK_THROWS_AS(c->all_reduce("wanted", x), CommunicationError);  // rank 1 goes when it has been called
      },
      std::chrono::seconds(600));
  CHECK(said == "rank 0 of 2, step 0: all_reduce \"wanted\": rank 1 has failed: the disk is full");
  CHECK(seconds < 5);
}

}  // namespace
}  // namespace psanet::tests
