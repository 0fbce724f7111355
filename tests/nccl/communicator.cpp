// NCCL's communicator and its watchdog with a stub in NCCL's place (docs/nccl.md).
#include <sys/wait.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "tests/nccl/stub_control.h"
#include "tests/support/catch.h"

namespace psanet::tests {
namespace {

using kernels::NcclCommunicator;
using kernels::NcclOptions;

struct Stream {
  Stream() { cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking); }
  ~Stream() { cudaStreamDestroy(stream); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  operator cudaStream_t() const { return stream; }

  cudaStream_t stream = nullptr;
};

/// A compute stream and one rank's communicator behind it.
struct OneRank {
  explicit OneRank(const NcclOptions& options)
      : communicator(0, compute, kernels::make_nccl_id(options), 0, 1, options) {
    communicator.set_step(3);
  }
  NcclCommunicator* operator->() const { return &communicator; }

  Stream compute;
  mutable NcclCommunicator communicator;
};

/// The line of the DeviceError that body throws; "" if it throws none.
template <class Body>
std::string line_of(Body body) {
  try {
    body();
  } catch (const DeviceError& e) {
    return e.what();
  }
  return {};
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// Waits until `line` is there, for a generous while.
template <class Body>
std::string line_in_time(Body body) {
  for (int i = 0; i < 4000; ++i) {
    const std::string line = line_of(body);
    if (!line.empty()) return line;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return {};
}

/// How often the communicator was aborted: at least once in the end. The watchdog says what failed before it aborts.
int aborts() {
  for (int i = 0; i < 4000 && stub_calls("abort") == 0; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  return stub_calls("abort");
}

struct Ended {
  int exit_code;
  std::string said;
};

Ended run_stuck(const std::string& script) {
  const std::string command = std::string("'" PSANET_BIN_DIR "/nccl_stuck' '") + script + "' 2>&1";
  FILE* pipe = popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::string said;
  char piece[256];
  while (std::fgets(piece, sizeof piece, pipe) != nullptr) said += piece;
  const int status = pclose(pipe);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, said};
}

TEST_CASE("collectives of one rank keep and copy values of every type") {
  const OneRank rank(with_stub());
  std::vector<float> f{1.5f, -2};
  std::vector<double> d{0.1}, gathered{-1};
  std::vector<int64_t> i{int64_t{1} << 60};
  rank->all_reduce("f", f.data(), 2);
  rank->all_reduce("d", d.data(), 1);
  rank->all_reduce("i", i.data(), 1);
  rank->broadcast("b", f.data(), 8, 0);
  rank->all_gather("g", d.data(), gathered.data(), 1);
  rank->wait();
  CHECK(f == std::vector<float>{1.5f, -2});
  CHECK(d == std::vector<double>{0.1});
  CHECK(i == std::vector<int64_t>{int64_t{1} << 60});
  CHECK(gathered == std::vector<double>{0.1});
  CHECK(stub_calls("all_reduce") == 3);
  CHECK(stub_calls("broadcast") == 1);
}

TEST_CASE("a collective comes after what the compute stream was given and before what joins it") {
  const OneRank rank(with_stub());
  double mine = 0, all = 0, seen_first = -1, seen_joined = -1;
  cuda_emulator::enqueue(rank.compute, [&] { mine = 5; });
  const int64_t gather = rank->all_gather("g", &mine, &all, 1);
  cuda_emulator::enqueue(rank.compute, [&] { seen_first = all; });
  rank->join(gather);
  cuda_emulator::enqueue(rank.compute, [&] { seen_joined = all; });
  CHECK(mine == 0);  // the host has waited for nothing, so nothing has been done
  cudaStreamSynchronize(rank.compute);
  CHECK(seen_first == 0);
  CHECK(seen_joined == 5);
  rank->check();
}

TEST_CASE("the communicator's own stream waits for the compute stream and not for what comes later in it") {
  const OneRank rank(with_stub());
  double mine = 0, all = 0, later = 0;
  cuda_emulator::enqueue(rank.compute, [&] { mine = 5; });
  rank->all_gather("g", &mine, &all, 1);
  rank->join_all();
  cuda_emulator::enqueue(rank.compute, [&] { later = 1; });
  rank->wait();
  CHECK(all == 5);
  CHECK(later == 0);
  cudaStreamSynchronize(rank.compute);
  CHECK(later == 1);
}

TEST_CASE("hundreds of collectives are done in the order of their calls and a healthy communicator is given back") {
  {
    const OneRank rank(with_stub());
    std::vector<double> x(301, 0);
    x[0] = 7;
    for (size_t i = 0; i < 300; ++i) rank->all_gather("link " + std::to_string(i), &x[i], &x[i + 1], 1);
    rank->join_all();
    cudaStreamSynchronize(rank.compute);
    rank->wait();
    CHECK(x[300] == 7);
  }
  CHECK(stub_calls("destroy") == 1);
  CHECK(stub_calls("abort") == 0);
}

TEST_CASE("a communicator that the library is still giving back is not touched again") {
  {
    const OneRank rank(with_stub("destroy: in progress"));
    double x = 1;
    rank->join(rank->all_reduce("bucket", &x, 1));
    cudaStreamSynchronize(rank.compute);
  }
  CHECK(stub_calls("destroy") == 1);
  CHECK(stub_calls("abort") == 0);
}

TEST_CASE("work that is waited for late is not a late collective") {
  auto options = with_stub();
  options.limit_s = 0.02;
  const OneRank rank(options);
  float x = 1;
  rank->all_reduce("behind a long kernel", &x, 1);
  std::this_thread::sleep_for(std::chrono::milliseconds(100));  // the stream has not come to it
  rank->wait();
  CHECK(x == 1);
}

TEST_CASE("a refused collective is named with rank and step and ends the communicator") {
  const OneRank rank(with_stub("all_reduce 3: error"));
  float x = 1;
  rank->all_reduce("bucket 0", &x, 1);
  rank->all_reduce("bucket 1", &x, 1);
  const std::string wanted =
      "NCCL: rank 0 of 1, step 3: all_reduce \"bucket 2\": unhandled system error: said the stub";
  CHECK(line_of([&] { rank->all_reduce("bucket 2", &x, 1); }) == wanted);
  CHECK(aborts() == 1);
  CHECK(line_of([&] { rank->broadcast("weights", &x, 4, 0); }) == wanted);  // the first failure is the one to know
  CHECK(line_of([&] { rank->wait(); }) == wanted);
  CHECK(stub_calls("broadcast") == 0);
}

TEST_CASE("an asynchronous error is found by whoever waits") {
  const OneRank rank(with_stub("async error after 2"));
  float x = 1;
  rank->all_reduce("bucket 0", &x, 1);
  rank->wait();
  rank->all_reduce("bucket 1", &x, 1);
  const std::string line = line_of([&] { rank->wait(); });
  CHECK(contains(line, "NCCL: rank 0 of 1, step 3: all_reduce \"bucket 1\": remote process exited: said the stub"));
  CHECK(aborts() == 1);
}

TEST_CASE("an asynchronous error is found by the watchdog when nobody waits") {
  const OneRank rank(with_stub("async error after 1"));
  float x = 1;
  rank->join(rank->all_reduce("bucket 0", &x, 1));
  cudaStreamSynchronize(rank.compute);
  const std::string line = line_in_time([&] { rank->check(); });
  CHECK(contains(line, "NCCL: rank 0 of 1, step 3: all_reduce \"bucket 0\": remote process exited"));
  CHECK(aborts() == 1);
}

TEST_CASE("a hung collective is aborted when its time is over and the host gets on") {
  const OneRank rank(with_stub("all_reduce 2: hang"));
  double x = 1, after = 0;
  rank->all_reduce("bucket 0", &x, 1);
  const int64_t hung = rank->all_reduce("bucket 1", &x, 1);
  rank->broadcast("behind it", &x, 8, 0);
  rank->join(hung);
  cuda_emulator::enqueue(rank.compute, [&] { after = 1; });
  cudaStreamSynchronize(rank.compute);  // only the abort ends this
  CHECK(after == 1);
  const std::string wanted = "NCCL: rank 0 of 1, step 3: all_reduce \"bucket 1\": not finished within 0.2 s";
  CHECK(line_of([&] { rank->check(); }) == wanted);
  CHECK(aborts() == 1);
  CHECK(stub_calls("destroy") == 0);
}

TEST_CASE("a collective that waits for a rank that is gone ends before its time is over") {
  auto options = with_stub("all_reduce 2: hang");
  options.limit_s = 3600;
  options.gone_poll_s = 0.02;
  std::atomic<int> asked = 0;
  options.gone = [&] { return ++asked < 3 ? std::string() : std::string("rank 7 is gone"); };
  const OneRank rank(options);
  double x = 1;
  rank->join(rank->all_reduce("bucket 0", &x, 1));
  cudaStreamSynchronize(rank.compute);
  CHECK(asked == 0);  // nobody is asked while all goes well
  rank->join(rank->all_reduce("bucket 1", &x, 1));
  cudaStreamSynchronize(rank.compute);
  CHECK(line_of([&] { rank->check(); }) == "NCCL: rank 0 of 1, step 3: all_reduce \"bucket 1\": rank 7 is gone");
  CHECK(asked == 3);
}

TEST_CASE("a communicator that waits for a rank that is gone is not made") {
  auto options = with_stub("init: hang");
  options.limit_s = 3600;
  options.gone_poll_s = 0.02;
  options.gone = [asked = 0]() mutable { return ++asked < 3 ? std::string() : std::string("rank 7 has failed"); };
  CHECK(line_of([&] { const OneRank rank(options); }) ==
        "NCCL: rank 0 of 1: making the communicator: rank 7 has failed");
  CHECK(aborts() == 1);
}

TEST_CASE("whoever tells the other ranks hears of the first failure before the abort") {
  auto options = with_stub("all_reduce 1: error");
  std::string told;
  int aborts_before = -1;
  options.failed = [&](const std::string& line) {
    told += line;
    aborts_before = stub_calls("abort");
  };
  const OneRank rank(options);
  float x = 1;
  const std::string line = line_of([&] { rank->all_reduce("bucket 0", &x, 1); });
  CHECK(told == line);
  CHECK(aborts_before == 0);
  CHECK(aborts() == 1);
}

TEST_CASE("collectives are timed between start and stop alone") {
  const OneRank rank(with_stub());
  float x = 1;
  rank->join(rank->all_reduce("before", &x, 1));
  rank->start_timing();
  for (const char* name : {"first", "second"}) rank->join(rank->all_reduce(name, &x, 1));
  const auto timed = rank->stop_timing();
  REQUIRE(timed.size() == 2);
  CHECK(timed[0].name == "first");
  CHECK(timed[1].name == "second");
  CHECK(timed[0].begin_s >= 0);
  CHECK(timed[0].begin_s <= timed[0].end_s);
  CHECK(timed[0].end_s <= timed[1].begin_s);
  rank->join(rank->all_reduce("behind", &x, 1));
  rank->wait();
  rank->start_timing();
  CHECK(rank->stop_timing().empty());
}

TEST_CASE("an exception that leaves does not wait for what hangs") {
  auto options = with_stub("all_reduce 1: hang");
  options.limit_s = 3600;
  try {
    const OneRank rank(options);
    float x = 1;
    rank->all_reduce("bucket 0", &x, 1);
    throw std::runtime_error("something else");
  } catch (const std::runtime_error& e) {
    CHECK(std::string(e.what()) == "something else");
  }
  CHECK(aborts() == 1);
}

TEST_CASE("a communicator that cannot be made says so") {
  CHECK(line_of([] { const OneRank rank(with_stub("init: error")); }) ==
        "NCCL: rank 0 of 1: making the communicator: unhandled system error: said the stub");
  CHECK(line_of([] { const OneRank rank(with_stub("init: hang")); }) ==
        "NCCL: rank 0 of 1: making the communicator: not all ranks have come within 0.2 s");
  CHECK(aborts() == 1);
}

TEST_CASE("a process whose abort hangs ends with the code for it and one line") {
  for (const std::string script : {"all_reduce 1: hang; abort: hang", "all_reduce 1: error; abort: hang"}) {
    const Ended ended = run_stuck(script);
    INFO(script << ": " << ended.said);
    CHECK(ended.exit_code == kernels::kNccl_stuck_exit_code);
    CHECK(contains(ended.said, "nccl_stuck: error: NCCL: rank 0 of 1, step 12: all_reduce \"gradients 0\": "));
    CHECK(contains(ended.said, "aborting the communicator did not end within 0.2 s: the process ends (exit code 8)\n"));
    CHECK(std::count(ended.said.begin(), ended.said.end(), '\n') == 1);
  }
}

TEST_CASE("a process that is stuck inside a call of the library ends with the code for it and one line") {
  const Ended ended = run_stuck("all_reduce 1: stuck");
  INFO(ended.said);
  CHECK(ended.exit_code == kernels::kNccl_stuck_exit_code);
  CHECK(contains(ended.said, "all_reduce \"gradients 0\": not finished within 0.2 s; a call into NCCL did not return"));
  CHECK(std::count(ended.said.begin(), ended.said.end(), '\n') == 1);
}

TEST_CASE("the program for stuck processes ends well where nothing is scripted") {
  CHECK(run_stuck("").exit_code == 0);
  CHECK(run_stuck("all_reduce 1: hang").exit_code == 5);
}

TEST_CASE("a missing library is one line that says what to do") {
  NcclOptions options;
  options.library = "/nowhere/libnccl.so.2";
  const std::string line = line_of([&] { kernels::make_nccl_id(options); });
  CHECK(contains(line, "NCCL cannot be loaded: /nowhere/libnccl.so.2: "));
  CHECK(contains(line, "install NVIDIA's libnccl2, or name the file in the environment variable PSANET_NCCL"));
  CHECK_FALSE(contains(line, "\n"));
}

TEST_CASE("the environment names the library where the options do not") {
  setenv("PSANET_NCCL", "/nowhere/else.so", 1);
  CHECK(contains(line_of([] { kernels::describe_nccl(); }), "/nowhere/else.so"));
  CHECK(kernels::describe_nccl(with_stub()) == std::string("NCCL 2.28.9 (") + PSANET_NCCL_STUB + ")");
  unsetenv("PSANET_NCCL");
}

TEST_CASE("a library that is too old is refused with the version that is wanted") {
  CHECK(line_of([] { kernels::describe_nccl(with_stub("version: 2803")); }) ==
        std::string("NCCL: ") + PSANET_NCCL_STUB + " is version 2.8.3; want 2.14.0 or newer");
  CHECK(line_of([] { kernels::describe_nccl(with_stub("version: 21307")); }) ==
        std::string("NCCL: ") + PSANET_NCCL_STUB + " is version 2.13.7; want 2.14.0 or newer");
  CHECK(line_of([] { kernels::describe_nccl(with_stub("version: 21400")); }).empty());
}

TEST_CASE("a library without NCCL's functions is refused") {
  NcclOptions options;
  options.library = "libm.so.6";
  CHECK(line_of([&] { kernels::describe_nccl(options); }) ==
        "NCCL: libm.so.6 has no ncclGetVersion; want NCCL 2.14.0 or newer");
}

TEST_CASE("NVIDIA's own library has what is asked of it where it is installed") {
  std::string found;
  const std::string missing = line_of([&] { found = kernels::describe_nccl(); });
  if (contains(missing, "cannot be loaded")) {
    std::printf("SKIPPED: %s\n", missing.c_str());
    return;
  }
  CHECK(missing.empty());
  CHECK(found.rfind("NCCL 2.", 0) == 0);
}

}  // namespace
}  // namespace psanet::tests
