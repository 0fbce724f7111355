#include "tests/distributed/by_hand.h"

#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <regex>
#include <thread>

#include "tests/apps/tiny_run.h"
#include "tests/support/catch.h"

namespace psanet::tests {

namespace fs = std::filesystem;
using std::chrono::steady_clock;

Variable::Variable(const std::string& name, const std::string& value) : name_(name) {
  ::setenv(name.c_str(), value.c_str(), 1);
}
Variable::~Variable() {
  ::unsetenv(name_.c_str());
}

TwoRanks two_by_hand(const std::string& program, const std::vector<std::string>& zero,
                     const std::vector<std::string>& one, const std::map<std::string, std::string>& more_of_one) {
  static int port = 20000 + ::getpid() % 20000;
  const Variable world("WORLD_SIZE", "2"), address("MASTER_PORT", std::to_string(++port));
  TwoRanks ranks;
  {
    const Variable rank("RANK", "0");
    ranks[0] = std::make_unique<Running>(program, zero);
  }
  const Variable rank("RANK", "1");
  std::vector<std::unique_ptr<Variable>> more;
  for (const auto& [name, value] : more_of_one) more.push_back(std::make_unique<Variable>(name, value));
  ranks[1] = std::make_unique<Running>(program, one);
  return ranks;
}

std::vector<int> children_of(int process) {
  std::ifstream file("/proc/" + std::to_string(process) + "/task/" + std::to_string(process) + "/children");
  std::vector<int> children;
  for (int child = 0; file >> child;) children.push_back(child);
  return children;
}

bool runs(int process) {
  std::ifstream file("/proc/" + std::to_string(process) + "/stat");
  std::string line;
  std::getline(file, line);
  const size_t name = line.rfind(')');
  return name != std::string::npos && line[name + 2] != 'Z';
}

namespace {

std::vector<std::string> endless(const TinyRun& tiny, const std::string& run, std::vector<std::string> more) {
  more.insert(more.end(), {"--collective-limit", "600", "--set", "iterations=10000000", "save_every=10000000"});
  return tiny.arguments(run, more);
}

bool grows(const fs::path& file, uintmax_t from, double seconds) {
  const auto end = steady_clock::now() + std::chrono::duration<double>(seconds);
  std::error_code none;
  while (steady_clock::now() < end) {
    const uintmax_t bytes = fs::file_size(file, none);
    if (!none && bytes > from) return true;
    ::usleep(10'000);
  }
  return false;
}

}  // namespace

void check_that_a_pause_harms_nothing(const std::string& program, const std::vector<std::string>& arguments) {
  const TinyRun tiny;
  std::vector<TwoRanks> pairs;
  const auto log = [&](size_t victim) { return tiny.folder("run" + std::to_string(victim)) / "metrics.jsonl"; };
  for (size_t victim = 0; victim < 2; ++victim) {
    const auto same = endless(tiny, "run" + std::to_string(victim), arguments);
    pairs.push_back(two_by_hand(program, same, same));
  }
  for (size_t victim = 0; victim < 2; ++victim) {
    REQUIRE(grows(log(victim), 0, 60));
    pairs[victim][victim]->send(SIGSTOP);
  }
  std::this_thread::sleep_for(std::chrono::seconds(7));
  for (size_t victim = 0; victim < 2; ++victim) {
    const uintmax_t bytes = fs::file_size(log(victim));
    CHECK(runs(pairs[victim][1 - victim]->process()));
    pairs[victim][victim]->send(SIGCONT);
    CHECK(grows(log(victim), bytes, 30));
    pairs[victim][1]->send(SIGTERM);
    for (const auto& rank : pairs[victim]) {
      const ProgramResult result = rank->wait();
      INFO("rank " << victim << " stood still; said: " << result.err);
      CHECK(result.exit_code == 75);
    }
  }
}

void check_that_a_failure_ends_the_other(const std::string& program, const std::vector<std::string>& arguments) {
  const TinyRun tiny;
  const fs::path broken = tiny.folder("broken");
  fs::copy(tiny_scenes(), broken, fs::copy_options::recursive);
  for (const auto& entry : fs::recursive_directory_iterator(broken)) {
    const std::string type = entry.path().extension().string();
    if (type == ".png" || type == ".jpg") std::ofstream(entry.path()) << "broken";
  }
  for (size_t victim = 0; victim < 2; ++victim) {
    std::array<std::vector<std::string>, 2> own;
    for (size_t rank = 0; rank < 2; ++rank) {
      own[rank] = arguments;
      if (rank == victim) own[rank].insert(own[rank].end(), {"--data-root", broken});
      own[rank] = endless(tiny, "run" + std::to_string(victim), own[rank]);
    }
    const TwoRanks pair = two_by_hand(program, own[0], own[1]);
    const ProgramResult failed = pair[victim]->wait();
    const auto start = steady_clock::now();
    const ProgramResult other = pair[1 - victim]->wait();
    const double seconds = std::chrono::duration<double>(steady_clock::now() - start).count();
    INFO("rank " << victim << " said: " << failed.err << "the other said: " << other.err);
    CHECK(failed.exit_code == 3);
    CHECK(other.exit_code == 5);
    CHECK(seconds < 10);
    CHECK(std::regex_search(other.err, std::regex("rank " + std::to_string(victim) + " has failed: .*broken/")));
  }
}

}  // namespace psanet::tests
