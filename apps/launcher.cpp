#include "apps/launcher.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "apps/app.h"
#include "apps/step_board.h"
#include "engine/distributed/gloo_communicator.h"
#include "engine/distributed/store_client.h"
#include "engine/distributed/store_server.h"
#include "engine/error.h"

extern char** environ;

namespace psanet::apps {

namespace {

using std::chrono::steady_clock;

constexpr int kPassedOn[] = {SIGTERM, SIGINT, SIGUSR1};
volatile std::sig_atomic_t arrived[65] = {};  // by signal number
void note(int signal) {
  arrived[signal] = arrived[signal] + 1;
}

int processors() {
  cpu_set_t set;
  CPU_ZERO(&set);
  return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

std::string random_token() {
  std::random_device device;
  return fmt::format("{:08x}{:08x}{:08x}{:08x}", device(), device(), device(), device());
}

/// The environment of a rank, as execve() wants it.
std::vector<std::string> environment_of(const std::map<std::string, std::string>& more) {
  std::vector<std::string> result;
  for (char** e = environ; *e; ++e) {
    const std::string line = *e;
    if (more.count(line.substr(0, line.find('='))) == 0) result.push_back(line);
  }
  for (const auto& [name, value] : more) result.push_back(name + "=" + value);
  return result;
}

struct Rank {
  pid_t process = -1;
  int status = 0;
  bool ended = false;
};

std::string end_of(const Rank& rank) {
  if (WIFSIGNALED(rank.status)) {
    return fmt::format("was killed by signal {} ({})", WTERMSIG(rank.status), ::strsignal(WTERMSIG(rank.status)));
  }
  return fmt::format("ended with exit code {}", WEXITSTATUS(rank.status));
}

int code_of(const Rank& rank) {
  return WIFSIGNALED(rank.status) ? 128 + WTERMSIG(rank.status) : WEXITSTATUS(rank.status);
}

/// How likely it is that the others failed because of it: ranks that miss another end with kDevice.
int blame(const Rank& rank) {
  if (WIFSIGNALED(rank.status)) return 2;
  return WEXITSTATUS(rank.status) == kDevice ? 0 : 1;
}

/// In the child; only what is allowed behind fork() in a process with threads.
[[noreturn]] void become_rank(pid_t parent, pid_t group, char** argv, char** environment) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) ::_exit(1);  // it died just before
  setpgid(0, group);
  execve("/proc/self/exe", argv, environment);
  ::_exit(127);
}

}  // namespace

int launch_ranks(int64_t ranks, int64_t threads, char** argv) {
  if (!has_gloo()) throw DeviceError("--ranks: this program was built without Gloo (libgloo-dev)");
  std::map<std::string, std::string> more = {{"PSANET_WORLD", std::to_string(ranks)}, {"PSANET_JOB", random_token()}};
  const StoreServer server("127.0.0.1", 0, more["PSANET_JOB"], "the launcher");
  const StepBoard board(ranks);
  more["PSANET_STEPS"] = board.file();
  more["PSANET_STORE_PORT"] = std::to_string(server.port());
  more["PSANET_JOB_TOKEN"] = more["PSANET_JOB"];
  if (threads == 0 && !std::getenv("OMP_NUM_THREADS")) {
    more["OMP_NUM_THREADS"] = std::to_string(std::max<int64_t>(1, processors() / ranks));
  }
  struct sigaction action {};
  action.sa_handler = note;
  for (int signal : kPassedOn) sigaction(signal, &action, nullptr);

  std::fflush(nullptr);
  std::vector<Rank> all(static_cast<size_t>(ranks));
  pid_t group = 0;
  const auto kill_all = [&](int signal) {
    if (group > 0) ::kill(-group, signal);
  };
  for (size_t r = 0; r < all.size(); ++r) {
    more["PSANET_RANK"] = more["PSANET_LOCAL_RANK"] = std::to_string(r);
    std::vector<std::string> lines = environment_of(more);
    std::vector<char*> environment;
    for (std::string& line : lines) environment.push_back(line.data());
    environment.push_back(nullptr);
    const pid_t parent = getpid(), child = fork();
    if (child == 0) become_rank(parent, group, argv, environment.data());
    if (child < 0) {
      kill_all(SIGKILL);
      throw DeviceError(fmt::format("--ranks: rank {} cannot be started: {}", r, std::strerror(errno)));
    }
    if (group == 0) group = child;
    setpgid(child, group);  // here too: whichever of the two comes first
    all[r].process = child;
  }

  const Rank* first = nullptr;  // that failed; of those that ended within a second, the likeliest cause
  steady_clock::time_point patience;
  int passed[65] = {};
  for (size_t left = all.size(); left > 0;) {
    for (int signal : kPassedOn) {
      for (; passed[signal] < arrived[signal]; ++passed[signal]) kill_all(signal);
    }
    for (Rank& rank : all) {
      if (rank.ended || waitpid(rank.process, &rank.status, WNOHANG) != rank.process) continue;
      rank.ended = true;
      --left;
      if (rank.status == 0) continue;
      if (!first) patience = steady_clock::now() + std::chrono::seconds(3);
      // The sockets of a killed process close a little before its parent can see its end.
      const bool together = steady_clock::now() < patience - std::chrono::seconds(2);
      if (!first || (together && blame(rank) > blame(*first))) first = &rank;
    }
    // A rank that stops behind a signal (75) waits for nobody; rank 0 may still be saving.
    const bool failed = first && code_of(*first) != kStopped;
    if (failed && left > 0 && steady_clock::now() > patience) kill_all(SIGKILL);
    if (left > 0) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  if (!first) return 0;
  if (code_of(*first) != kStopped) {
    const int64_t rank = first - all.data(), step = board.step(rank);
    fmt::print(stderr, "{}: error: rank {} {} first, {}; the run has ended\n", program_invocation_short_name, rank,
               end_of(*first), step > 0 ? fmt::format("in step {}", step) : "before the first step");
  }
  return code_of(*first);
}

std::shared_ptr<HostCommunicator> join_ranks(const RankPlace& place, std::chrono::milliseconds limit) {
  std::signal(SIGPIPE, SIG_IGN);  // Gloo writes to ranks that may be gone: an error, not the end of this process
  if (place.rank > 0) {
    const int nowhere = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
    std::fflush(stdout);
    if (nowhere >= 0) ::dup2(nowhere, STDOUT_FILENO);
  }
  // The time limit of a collective may be short; starting programs on many machines is not.
  const auto patience = std::max<std::chrono::milliseconds>(limit, std::chrono::seconds(60));
  static std::unique_ptr<StoreServer> server;  // as long as the process: others learn from it who has failed
  if (place.rank_0_keeps_store && place.rank == 0) {
    server = std::make_unique<StoreServer>(place.host, place.port, place.token, "rank 0");
  }
  auto store = std::make_shared<StoreClient>(place.host, place.port, place.token, place.rank, patience);
  std::shared_ptr<HostCommunicator> ranks = make_gloo_communicator(std::move(store), place.rank, place.world, limit);
  if (std::shared_ptr<StepBoard> board = StepBoard::inherited(std::getenv("PSANET_STEPS"))) {
    ranks->on_step([board, rank = place.rank](int64_t step) { board->set(rank, step); });
  }
  ranks->on_failure([](const std::string& message) {
    std::fflush(stdout);
    fmt::print(stderr, "{}: error: {}\n", program_invocation_short_name, message);
    std::fflush(stderr);
    ::_exit(kDevice);  // checkpoints are whole or absent, whenever a process ends
  });
  return ranks;
}

}  // namespace psanet::apps
