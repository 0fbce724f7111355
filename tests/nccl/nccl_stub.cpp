// A library with NCCL's symbols, for ranks without GPUs: they talk through shared memory (collectives of one rank are
// copies), and what is scripted goes wrong. Like NCCL's communicators that do not block, its calls are "in progress"
// for a while.
#include "tests/nccl/nccl_stub.h"

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <regex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "kernels/cuda/nccl_library.h"
#include "tests/nccl/rank_exchange.h"

namespace psanet::kernels::cuda::nccl {

struct Communicator {
  std::mutex mutex;
  std::condition_variable changed;
  std::atomic<bool> aborted = false;
  std::unique_ptr<tests::RankExchange> exchange;  // null: one rank
  int questions_until_done = 2;                   // how often it says "in progress"
  int done = 0;                                   // collectives
  bool never_made = false;
};

}  // namespace psanet::kernels::cuda::nccl

namespace psanet::tests {
namespace {

using namespace kernels::cuda::nccl;

struct Stub {
  std::mutex mutex;
  std::map<std::string, std::string> wrong;  // "all_reduce 3" -> "error"
  std::map<std::string, int> calls;
  int error_after = -1, version = 22809;
  std::vector<std::unique_ptr<Communicator>> communicators;  // for ever: a hung collective still looks at its own
  std::atomic<void (*)(CUstream_st*, std::function<void()>)> enqueue = nullptr;
};

Stub& stub() {
  static auto& only = *new Stub;
  return only;
}

[[noreturn]] void hang() {
  for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
}

/// What is scripted for this call of a function, by its name alone or with the number of the call.
std::string called(const std::string& function) {
  const std::lock_guard lock(stub().mutex);
  const int number = ++stub().calls[function];
  for (const std::string& key : {function, function + " " + std::to_string(number)}) {
    const auto found = stub().wrong.find(key);
    if (found != stub().wrong.end()) return found->second;
  }
  return {};
}

size_t bytes_of(DataType type) {
  return type == int8 ? 1 : type == float32 ? 4 : 8;
}

/// What becomes of every rank's piece of a collective: take(offset, bytes, pieces).
using Take = std::function<void(size_t offset, size_t bytes, const char* const* pieces)>;

template <class T>
Take add_to(void* to, int world) {
  return [=](size_t offset, size_t bytes, const char* const* pieces) {
    for (size_t at = 0; at < bytes; at += sizeof(T)) {
      T sum{};
      for (int r = 0; r < world; ++r) {
        T value;
        std::memcpy(&value, pieces[r] + at, sizeof value);
        sum = r == 0 ? value : sum + value;
      }
      std::memcpy(static_cast<char*>(to) + offset + at, &sum, sizeof sum);
    }
  };
}

Result collective(const char* function, const void* from, void* to, size_t bytes, Communicator* c, const Take& take,
                  CUstream_st* stream) {
  const std::string wrong = called(function);
  if (wrong == "error") return system_error;
  if (wrong == "stuck") hang();
  stub().enqueue.load()(stream, [=] {
    if (wrong == "hang") {
      std::unique_lock lock(c->mutex);
      c->changed.wait(lock, [&] { return c->aborted.load(); });
    }
    if (c->aborted) return;
    if (c->exchange) {
      if (!c->exchange->exchange(from, bytes, take, [&] { return c->aborted.load(); })) return;
    } else if (from != to) {
      std::memcpy(to, from, bytes);
    }
    const std::lock_guard lock(c->mutex);
    ++c->done;
  });
  const std::lock_guard lock(c->mutex);
  c->questions_until_done = 2;
  return in_progress;
}

int ranks_of(const Communicator* c) {
  return c->exchange ? c->exchange->world() : 1;
}

/// Letters for the first bytes of an id.
std::string name_of(const UniqueId& id) {
  std::string name = "psanet_nccl_stub_";
  for (int i = 0; i < 12; ++i) {
    const auto byte = static_cast<unsigned char>(id.internal[i]);
    name += static_cast<char>('a' + byte / 16);
    name += static_cast<char>('a' + byte % 16);
  }
  return name;
}

}  // namespace
}  // namespace psanet::tests

extern "C" {

using namespace psanet::tests;  // NOLINT: this file is a library of its own

void nccl_stub_script(const char* script) {
  static const std::regex kWrong(
      R"((init|abort|destroy|(?:all_reduce|broadcast|all_gather) \d+): (error|hang|stuck|in progress))"),
      kLater(R"(async error after (\d+))"), kVersion(R"(version: (\d+))");
  const std::lock_guard lock(stub().mutex);
  stub().wrong.clear();
  stub().calls.clear();
  stub().error_after = -1;
  stub().version = 22809;
  const std::string text = script;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find(';', at), text.size());
    const size_t first = std::min(text.find_first_not_of(' ', at), end);
    const std::string statement = text.substr(first, end - first);
    std::smatch match;
    if (std::regex_match(statement, match, kWrong)) {
      stub().wrong[match[1]] = match[2];
    } else if (std::regex_match(statement, match, kLater)) {
      stub().error_after = std::stoi(match[1]);
    } else if (std::regex_match(statement, match, kVersion)) {
      stub().version = std::stoi(match[1]);
    } else {
      throw std::invalid_argument("the NCCL stub does not know \"" + statement + "\"");
    }
    at = end + 1;
  }
}

void nccl_stub_enqueue_with(void (*enqueue)(CUstream_st*, std::function<void()>)) {
  stub().enqueue = enqueue;
}

int nccl_stub_count(const char* function) {
  const std::lock_guard lock(stub().mutex);
  return stub().calls[function];
}

Result ncclGetVersion(int* version) {
  const std::lock_guard lock(stub().mutex);
  *version = stub().version;
  return success;
}

const char* ncclGetErrorString(Result result) {
  return result == system_error ? "unhandled system error" : result == remote_error ? "remote process exited" : "other";
}

const char* ncclGetLastError(Communicator*) {
  return "said the stub";
}

Result ncclGetUniqueId(UniqueId* id) {
  std::memset(id->internal, 7, sizeof id->internal);
  std::random_device random;
  for (int i = 0; i < 12; ++i) id->internal[i] = static_cast<char>(random());
  return success;
}

Result ncclCommInitRankConfig(Communicator** made, int world, UniqueId id, int rank, Config* config) {
  const std::string wrong = called("init");
  const bool right = rank >= 0 && rank < world && id.internal[127] == 7 && config->magic == 0xcafebeef &&
                     config->blocking == 0 && config->size == sizeof(Config);
  if (wrong == "error" || !right) return system_error;
  const std::lock_guard lock(stub().mutex);
  *made = stub().communicators.emplace_back(std::make_unique<Communicator>()).get();
  (*made)->never_made = wrong == "hang";
  if (world > 1) (*made)->exchange = std::make_unique<RankExchange>(name_of(id), rank, world);
  return in_progress;
}

Result ncclCommGetAsyncError(Communicator* c, Result* state) {
  const std::lock_guard lock(c->mutex);
  int error_after = 0;
  {
    const std::lock_guard others(stub().mutex);
    error_after = stub().error_after;
  }
  const bool waits = c->exchange && !c->exchange->all_have_joined();
  if (c->never_made || waits || (c->questions_until_done > 0 && c->questions_until_done-- > 0)) {
    *state = in_progress;
  } else {
    *state = error_after >= 0 && c->done >= error_after ? remote_error : success;
  }
  return success;
}

Result ncclCommFinalize(Communicator* c) {
  const std::lock_guard lock(c->mutex);
  c->questions_until_done = 2;
  return in_progress;
}

Result ncclCommDestroy(Communicator*) {
  return called("destroy") == "in progress" ? in_progress : success;
}

Result ncclCommAbort(Communicator* c) {
  if (called("abort") == "hang") hang();
  const std::lock_guard lock(c->mutex);
  c->aborted = true;
  c->changed.notify_all();
  return success;
}

Result ncclAllReduce(const void* from, void* to, size_t count, DataType type, RedOp operation, Communicator* c,
                     CUstream_st* stream) {
  if (operation != sum || type == int8) return system_error;
  const int world = ranks_of(c);
  const Take take = type == float32   ? add_to<float>(to, world)
                    : type == float64 ? add_to<double>(to, world)
                                      : add_to<int64_t>(to, world);
  return collective("all_reduce", from, to, count * bytes_of(type), c, take, stream);
}

Result ncclBroadcast(const void* from, void* to, size_t count, DataType type, int root, Communicator* c,
                     CUstream_st* stream) {
  if (root < 0 || root >= ranks_of(c)) return system_error;
  const Take take = [=](size_t offset, size_t bytes, const char* const* pieces) {
    std::memcpy(static_cast<char*>(to) + offset, pieces[root], bytes);
  };
  return collective("broadcast", from, to, count * bytes_of(type), c, take, stream);
}

Result ncclAllGather(const void* from, void* to, size_t count, DataType type, Communicator* c, CUstream_st* stream) {
  const size_t each = count * bytes_of(type);
  const Take take = [=, world = ranks_of(c)](size_t offset, size_t bytes, const char* const* pieces) {
    for (int r = 0; r < world; ++r) {
      std::memcpy(static_cast<char*>(to) + static_cast<size_t>(r) * each + offset, pieces[r], bytes);
    }
  };
  return collective("all_gather", from, to, each, c, take, stream);
}

}  // extern "C"
