#include "data/parallel.h"

#include <atomic>
#include <stdexcept>
#include <vector>

#include "tests/data/made_up.h"

using namespace psanet::data;
using namespace psanet::tests;

TEST_CASE("every index is worked on once, and progress counts them") {
  for (const int threads : {0, 1, 3, 200}) {
    std::vector<std::atomic<int>> done(100);
    std::size_t last = 0;
    for_each_index(
        done.size(), threads, [&](std::size_t i) { ++done[i]; },
        [&](std::size_t n, std::size_t total) {
          CHECK(total == 100);
          CHECK(n == last + 1);
          last = n;
        });
    CHECK(last == 100);
    for (const auto& count : done) CHECK(count == 1);
  }
  for_each_index(0, 4, [](std::size_t) { throw std::runtime_error("never called"); });
}

TEST_CASE("the exception of the smallest index is thrown for any number of threads") {
  for (int round = 0; round < 50; ++round) {
    CHECK(message_of<std::runtime_error>([] {
            for_each_index(100, 4, [](std::size_t i) {
              if (i >= 17) throw std::runtime_error(std::to_string(i));
            });
          }) == "17");
  }
}
