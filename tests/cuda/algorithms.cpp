#include "kernels/cuda/algorithms.h"

#include <fstream>
#include <sstream>

#include "kernels/error.h"
#include "tests/cuda/support.h"
#include "tests/support/temporary_folder.h"

namespace psanet::tests {
namespace {

using kernels::cuda::AlgorithmChoice;
using kernels::cuda::AlgorithmStore;
using kernels::cuda::choose;

std::string text_of(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

/// Algorithms that exist in name only, with the time that each would take.
struct Fake {
  std::vector<std::string> names;
  std::vector<double> times;  // below 0: it throws
  std::vector<bool> usable;
  int builds = 0, measurements = 0;

  AlgorithmChoice choice(const std::string& key = "a shape") {
    AlgorithmChoice c;
    c.key = key;
    c.names = names;
    c.build = [this](size_t i) {
      ++builds;
      return usable.empty() || usable[i];
    };
    c.seconds = [this](size_t i) {
      ++measurements;
      if (times[i] < 0) throw DeviceError("it does not run");
      return times[i];
    };
    return c;
  }
};

TEST_CASE("algorithms: without a store the first that can be used is taken and nothing is measured") {
  Fake fake{{"a", "b", "c"}, {3, 2, 1}, {false, true, true}};
  CHECK(choose(nullptr, fake.choice()) == std::optional<size_t>(1));
  CHECK(fake.measurements == 0);
  CHECK(fake.builds == 2);
}

TEST_CASE("algorithms: the fastest is chosen and stored and found again") {
  AlgorithmStore store;
  Fake fake{{"a", "b", "c", "d"}, {3, 1, 2, 0.5}, {true, true, true, false}};
  CHECK(choose(&store, fake.choice()) == std::optional<size_t>(1));
  CHECK(fake.measurements == 3);
  CHECK(store.find("a shape") == std::optional<std::string>("b"));

  Fake again{{"c", "a", "b"}, {1, 2, 3}, {}};  // another order: the name decides
  CHECK(choose(&store, again.choice()) == std::optional<size_t>(2));
  CHECK(again.measurements == 0);
  CHECK(again.builds == 1);
  CHECK(choose(&store, again.choice("another shape")) == std::optional<size_t>(0));
  CHECK(again.measurements == 3);
}

TEST_CASE("algorithms: equal times give the better guess") {
  AlgorithmStore store;
  Fake fake{{"a", "b"}, {1, 1}, {}};
  CHECK(choose(&store, fake.choice()) == std::optional<size_t>(0));
}

TEST_CASE("algorithms: a stored one that is no more or cannot be used is measured anew") {
  AlgorithmStore store;
  store.put("a shape", "gone");
  Fake fake{{"a", "b"}, {2, 1}, {}};
  CHECK(choose(&store, fake.choice()) == std::optional<size_t>(1));
  CHECK(store.find("a shape") == std::optional<std::string>("b"));
  fake.usable = {true, false};
  CHECK(choose(&store, fake.choice()) == std::optional<size_t>(0));
}

TEST_CASE("algorithms: one that does not run loses and if none runs nothing is stored") {
  AlgorithmStore store;
  Fake fake{{"a", "b"}, {-1, 2}, {}};
  CHECK(choose(&store, fake.choice()) == std::optional<size_t>(1));
  fake.times = {-1, -1};
  CHECK(choose(&store, fake.choice("another")) == std::optional<size_t>(0));
  CHECK(!store.find("another"));
}

TEST_CASE("algorithms: no choice from nothing and no measuring of a single one") {
  AlgorithmStore store;
  Fake none{{"a"}, {1}, {false}};
  CHECK(!choose(&store, none.choice()));
  Fake one{{"a", "a"}, {1, 1}, {}};  // twice the same
  CHECK(choose(&store, one.choice()) == std::optional<size_t>(0));
  CHECK(one.measurements == 0);
}

TEST_CASE("algorithms: not more than so many are measured") {
  AlgorithmStore store;
  Fake fake;
  for (int i = 0; i < 50; ++i) {
    fake.names.push_back(std::to_string(i));
    fake.times.push_back(50.0 - i);
  }
  CHECK(choose(&store, fake.choice()) == std::optional<size_t>(kernels::cuda::kMeasured - 1));
}

TEST_CASE("algorithms: what a choice was made from is logged where that is asked for") {
  const TemporaryFolder folder;
  const auto log = folder / "log.txt";
  Fake fake{{"a", "b", "c"}, {3e-6, 1e-6, -1}, {}};
  AlgorithmStore store;
  setenv("PSANET_ALGORITHMS_LOG", log.c_str(), 1);
  CHECK(choose(&store, fake.choice()) == std::optional<size_t>(1));
  Fake none{{"a"}, {1}, {false}};
  CHECK_FALSE(choose(&store, none.choice("another")));
  unsetenv("PSANET_ALGORITHMS_LOG");
  choose(&store, fake.choice());
  CHECK(text_of(log) ==
        "a shape\n  proposed: a\n  proposed: b\n  proposed: c\n  3.0 us: a\n  1.0 us: b\n  chosen: b\n"
        "another\n  proposed: a\n  chosen: none\n");
}

TEST_CASE("algorithms: the file is written and read and shared with other processes") {
  const TemporaryFolder folder;
  const auto file = folder / "deeper" / "algorithms.txt";
  AlgorithmStore first(file), second(file);
  first.put("x 1", "engine 3 k=1");
  second.put("y 2", "engine 4");
  second.put("x 1", "its own");
  CHECK(text_of(file) == "psanet algorithms 1\nx 1\tits own\ny 2\tengine 4\n");
  const AlgorithmStore third(file);
  CHECK(third.find("y 2") == std::optional<std::string>("engine 4"));
  CHECK(first.find("x 1") == std::optional<std::string>("engine 3 k=1"));  // a process does not change its mind
  size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder / "deeper")) files += entry.exists() ? 1 : 0;
  CHECK(files == 1);  // no temporary ones are left
}

TEST_CASE("algorithms: lines that cannot be understood are left out") {
  const TemporaryFolder folder;
  const auto file = folder / "algorithms.txt";
  std::ofstream(file) << "psanet algorithms 1\nno tab\n\tno key\nno name\t\ntoo\tmany\ttabs\n\nkey\tname\ncut";
  const AlgorithmStore store(file);
  CHECK(store.find("key") == std::optional<std::string>("name"));
  for (const char* key : {"no tab", "", "no name", "too", "cut"}) CHECK(!store.find(key));

  std::ofstream(file) << "another format\nkey\tname\n";
  CHECK(!AlgorithmStore(file).find("key"));
}

TEST_CASE("algorithms: a place that cannot be written is no error") {
  const TemporaryFolder folder;
  std::ofstream(folder / "in the way") << "a file";
  AlgorithmStore store(folder / "in the way" / "algorithms.txt");
  store.put("key", "name");
  CHECK(store.find("key") == std::optional<std::string>("name"));
  AlgorithmStore onto_folder(folder.path());
  onto_folder.put("key", "name");
  CHECK(onto_folder.find("key") == std::optional<std::string>("name"));
}

TEST_CASE("algorithms: measuring runs once to warm up and takes the shortest run") {
  int runs = 0;
  const double seconds = kernels::cuda::best_seconds(cuda(), [&] { ++runs; });
  CHECK(runs == 6);
  CHECK(seconds >= 0);
  CHECK(seconds < 1);
}

}  // namespace
}  // namespace psanet::tests
